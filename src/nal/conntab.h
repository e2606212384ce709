/*
 * The connection table: every session that this process holds open, who uses it, since when.
 *
 *     conntab_acquire → way_* → conntab_release          a lease on a session, per use
 *     conntab_tick                                        closes what lingered long enough
 *
 * There is one session per (scheme, host, port, credential, context), so no licence or connection
 * is used twice. A released session lingers, so that the next command or poll finds it open. The
 * table never closes anything it did not open.
 *
 * For one thread.
 */
#ifndef NAL_CONNTAB_H
#define NAL_CONNTAB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/macros.h"
#include "nal/way.h"

#define CONNTAB_LINGER_MS    120000 /* default life of a session without a lease */
#define CONNTAB_SESSIONS_MAX 256    /* open at once; the longest idle one gives way */

struct conntab;
struct presence;

struct conntab_options {
	const struct clock *clock; /* NULL: the system's; outlives the table */
	uint32_t linger_ms;        /* 0: close at the last release */
	const char *owner;         /* who holds the sessions, for lists: "agent", "fetch"; copied */
	struct way_limits limits;  /* of every way; its texts are copied */
};

#define CONNTAB_OPTIONS_DEFAULT                                                                  \
	{                                                                                        \
		.linger_ms = CONNTAB_LINGER_MS, .owner = "packway", .limits = WAY_LIMITS_DEFAULT \
	}

struct conntab *conntab_new(const struct conntab_options *options) MUST_USE;

/* Close every session; ways still out are released with it and counted as leaked. NULL is fine. */
void conntab_free(struct conntab *tab);
SCOPED_FREE(conntab);

/*
 * Lease a way to `target`: over the open session if there is one, else over a new one, for which
 * `link` may hold a socket or folder that is connected already (taken over in every case; closed if
 * not needed). `user` names who leases it (a connection, a download) for conntab_release_user.
 *
 * Blocks up to the limits for folders; HTTP without a link connects with its first request.
 */
enum nal_class conntab_acquire(struct way **out, struct conntab *tab,
			       const struct way_target *target, struct way_link link,
			       const void *user, struct err *err) MUST_USE;

/*
 * Lease whatever session is open to the server of `where` (scheme, host, port), by whichever
 * credential and for whichever context, at the place it was opened for. Never opens one: NULL if
 * there is none, or none that the server has let in yet. For looking whether the server answers;
 * what others' credentials can read is not to be handed on.
 */
struct way *conntab_borrow(struct conntab *tab, const struct locator *where, const void *user)
	MUST_USE;

/* What is known of servers' presence; the table's, since it lives as long. */
struct presence *conntab_presence(struct conntab *tab);

/* Give the way back; the session is closed at once if the way's last class broke it. NULL is fine.
 */
void conntab_release(struct conntab *tab, struct way *way);

/* Release all that `user` still leases, because it is gone; each counts as a leak. */
void conntab_release_user(struct conntab *tab, const void *user);

/*
 * The time box for I/O beneath the folder that the target means, the same for every use of that
 * folder; it remembers a child that hangs. Its children have the account that the target says.
 * Borrowed; valid as long as the table.
 */
struct timebox *conntab_box(struct conntab *tab, const struct way_target *target);

/* True while a call beneath that folder hangs: a mount point that is not worth a try. */
bool conntab_is_hung(struct conntab *tab, const char *folder);

/*
 * True if this process has seen the target's server refuse its account or ticket (way.h's
 * is_refused). It is not tried again: conntab_acquire gives NAL_CLASS_DENIED at once.
 */
bool conntab_has_refused(const struct conntab *tab, const struct way_target *target);

/* True if a session to the target is open and its peer has not hung up. No traffic. */
bool conntab_is_open(struct conntab *tab, const struct way_target *target);

/*
 * Close sessions that are idle for longer than the linger, or whose peer hung up. Returns in how
 * many ms to call again; UINT32_MAX when no session waits for its end.
 */
uint32_t conntab_tick(struct conntab *tab);

/* Close every session without a lease now. */
void conntab_close_idle(struct conntab *tab);

/* Sessions open now; leases out now; leases that their users never gave back. */
size_t conntab_sessions(const struct conntab *tab);
size_t conntab_leases(const struct conntab *tab);
uint64_t conntab_leaks(const struct conntab *tab);

/* The counts of all sessions, closed ones included. */
struct session_counts conntab_counts(const struct conntab *tab);

/* The session part of `connections --json`, an array; the caller owns it. */
json_t *conntab_json(struct conntab *tab) MUST_USE;

#endif
