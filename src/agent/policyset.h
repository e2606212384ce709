/*
 * What the site says, as this client trusts it: the generation in force (agent/generation.h), its
 * metadata chain verified without any network, its documents each checked against its signed hash
 * whenever it is read. It is one publication as a whole, and held while it is open: whatever a
 * refresh does meanwhile, all that is read is of one set.
 *
 *     policyset_open → policyset_site, policyset_package, … → policyset_close
 *
 * A document that is absent (never asked for), or that does not match its listing (a disk that
 * rots), reads as ERR_NOT_FOUND; a refresh that is asked for it fetches it.
 */
#ifndef AGENT_POLICYSET_H
#define AGENT_POLICYSET_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/state.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "policy/docs.h"
#include "trust/updater.h"
#include "trust/verdict.h"

struct policyset;

/*
 * Verify the chain in force from the newest trusted root. `now_s` is what expiry is measured by.
 * Where a new root has withdrawn keys that signed what is in force, the root that came with it
 * vouches for it still, until a newer set is whole; but it counts as expired (policyset_state).
 * ERR_NOT_ENROLLED without a trusted root or metadata; ERR_TRUST if the chain does not verify. `st`
 * must outlive it.
 */
bool policyset_open(struct policyset **out, const struct state *st, int64_t now_s, struct err *err)
	MUST_USE;
void policyset_close(struct policyset *p);
static inline void policyset_scoped(struct policyset **p)
{
	policyset_close(*p);
}

/* Versions, earliest expiry and its role; borrowed texts live as long as `p`. */
/*
 * How far, in seconds, `now_s` is behind the time when policy was last accepted, which is then used
 * in its place; 0 if it is not.
 */
int64_t policyset_clock_behind(const struct state *st, int64_t now_s);

void policyset_state(struct updater_state *out, struct policyset *p);

/* The bytes of the target `path`, checked. ERR_NOT_FOUND: not listed or not here (yet). */
bool policyset_read(struct buf *out, struct policyset *p, const char *path, struct err *err)
	MUST_USE;

/*
 * True if the policy lists the target, whether or not it is here, or if the role that would list it
 * is not here or is damaged: a refresh that is asked for the target (renewal.h) brings both.
 */
bool policyset_may_have(struct policyset *p, const char *path);

/* Documents, parsed. The caller releases them. */
bool policyset_site(struct docs_site *out, struct policyset *p, struct err *err) MUST_USE;
bool policyset_group(struct docs_group *out, struct policyset *p, const char *name, struct err *err)
	MUST_USE;
bool policyset_package(struct docs_package *out, struct policyset *p, const char *id,
		       struct err *err) MUST_USE;
bool policyset_location(struct docs_location *out, struct policyset *p, const char *id,
			struct err *err) MUST_USE;

#endif
