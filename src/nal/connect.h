/*
 * Reaching the first of a list of ranked candidates that can be reached: the attempt machine
 * (attempt.h) driven over real sockets, folders and the connection table.
 *
 *     connect_begin → { connect_next → use the way → conntab_release; if it failed in use:
 *     connect_reject } → connect_record for each → connect_end
 *
 * An open session of the table is used at once when its rank allows. A folder or mount is reached
 * by reading its marker in a time box. An SMB server has to answer a NEGOTIATE within the time of
 * its connect (smbknock.h), since a session is opened by libsmbclient, whose own limit is 5 s.
 * Blocks in connect_next only; for one thread.
 */
#ifndef NAL_CONNECT_H
#define NAL_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/attempt.h"
#include "nal/conntab.h"

struct connect;

/* What became of one candidate, for the decision record. */
struct connect_record {
	bool tried;    /* false: it never came to its turn */
	bool was_open; /* the way was a session open before, which lived */
	bool was_met;  /* somebody took a connection at its port, it was open, or is a folder */
	enum nal_class class; /* NAL_CLASS_OK: reached, and not rejected since */
	uint32_t ms;
	const char
		*rung; /* where the presence ladder of SMB ran: its last rung; NULL: it did not */
	uint32_t rung_ms;      /* all of the ladder */
	const struct err *err; /* the words for `class`; borrowed until connect_end */
};

/*
 * Begin with `count` targets in rank order, best first. The targets, and the texts they point to,
 * are borrowed until connect_end; so is `tab`. `user` is who leases (conntab_acquire).
 */
struct connect *connect_begin(struct conntab *tab, const struct way_target *targets, size_t count,
			      const void *user) MUST_USE;

/*
 * From now on the presence ladder runs before each connection to an SMB server, and over a session
 * that is open already, as SMS 2.0 did (nal/probe.h). Else it runs in connect_look_after only.
 */
void connect_look_first(struct connect *c);

#define CONNECT_PATIENCE 4 /* times the usual limits */

/*
 * From now on wait CONNECT_PATIENCE times as long for connections and first bytes: where everybody
 * is slow to answer (a server under load, a satellite line), giving all of them up helps nobody.
 */
void connect_be_patient(struct connect *c);

/*
 * Reach the best candidate that is left. On true, `*way_out` is leased to the caller, who gives it
 * back with conntab_release, and `*index_out` says whose it is. False: ERR_NO_CANDIDATE, all
 * failed; each record says why.
 */
bool connect_next(struct way **way_out, size_t *index_out, struct connect *c, struct err *err)
	MUST_USE;

/*
 * The candidate that connect_next gave last was no use: its server never let us in, and `class` and
 * `err` say why. Where that is no clear reason (timeout, unknown) and the server speaks SMB, the
 * presence ladder is climbed, shortly. Returns the class to reject it with; `err` may be given
 * better words. To be called when the way has been released, since a probe beside an open session
 * is to be avoided (Q312512).
 */
enum nal_class connect_look_after(struct connect *c, size_t index, enum nal_class class,
				  struct err *err) MUST_USE;

/*
 * The candidate that connect_next gave last failed in use; its way has been, or will be, released.
 * A session that was open before and is NAL_CLASS_UNREACHABLE now had been ended by then: its
 * server is connected to once more, and no other is tried before.
 */
void connect_reject(struct connect *c, size_t index, enum nal_class class, const struct err *err);

/* What became of candidate `index` so far. */
struct connect_record connect_record(const struct connect *c, size_t index);

/* Close what was connected and not used, and free. NULL is fine. */
void connect_end(struct connect *c);

static inline void connect_scoped(struct connect **c)
{
	connect_end(*c);
}

#endif
