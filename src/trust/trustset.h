/*
 * The roles that are trusted at one moment, and the rules by which bytes join them.
 *
 * A set starts empty and grows in the order root, timestamp, snapshot, targets, delegated roles;
 * calling out of order is a bug. Each call gets the bytes of one file and either takes the role in
 * or leaves the set as it was and says why. Nothing here fetches or stores: updater.h does, by
 * means of callbacks.
 *
 * `load` calls take what was stored by an earlier run, `update` calls what a server sent.
 *
 * PURE.
 */
#ifndef TRUST_TRUSTSET_H
#define TRUST_TRUSTSET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/role.h"
#include "trust/verdict.h"

struct trustset;

/* How strictly stored files are taken. */
enum trustset_mode {
	TRUSTSET_STRICT,  /* files must be current and in life: a client that can fetch better ones
			   */
	TRUSTSET_LENIENT, /* expired or superseded ones will do: what was trusted stays in force */
};

/* An empty set that judges every expiry by `now_s`. The caller frees it. */
struct trustset *trustset_new(int64_t now_s, enum trustset_mode mode) MUST_USE;
void trustset_free(struct trustset *set);
SCOPED_FREE(trustset);

/* The stored root: signed by its own keys. Its life does not matter yet. */
enum verdict trustset_load_root(struct trustset *set, struct span bytes, struct err *err) MUST_USE;

/*
 * The next root: exactly one version on, signed by the keys of the one before and by its own. May
 * be expired. `*revoked_out` is true if it withdraws a key of timestamp or snapshot: their stored
 * files are worthless then, and must not stand in the way of recovering from versions that ran
 * ahead.
 */
enum verdict trustset_update_root(struct trustset *set, struct span bytes, bool *revoked_out,
				  struct err *err) MUST_USE;

/* VERDICT_EXPIRED once the last root's life is over. */
enum verdict trustset_root_life(const struct trustset *set, struct err *err) MUST_USE;

/* The stored timestamp; its life does not matter, it serves against rollback. */
enum verdict trustset_load_timestamp(struct trustset *set, struct span bytes, struct err *err)
	MUST_USE;

/*
 * A server's timestamp. VERDICT_UNCHANGED if its version is the one that is held: that is kept and
 * the new bytes are not. Neither looks at the held one's life; see trustset_timestamp_life.
 */
enum verdict trustset_update_timestamp(struct trustset *set, struct span bytes, struct err *err)
	MUST_USE;
enum verdict trustset_timestamp_life(const struct trustset *set, struct err *err) MUST_USE;

/*
 * The stored snapshot: signed. VERDICT_OK if it is what the timestamp lists and lives. Any other
 * verdict asks for a new one, and a signed one is held nevertheless to detect rollback; in lenient
 * mode it is enough that it is not newer than listed.
 */
enum verdict trustset_load_snapshot(struct trustset *set, struct span bytes, struct err *err)
	MUST_USE;
enum verdict trustset_update_snapshot(struct trustset *set, struct span bytes, struct err *err)
	MUST_USE;

/*
 * The top-level targets role or a delegated one: as the snapshot lists it, signed by `signers`, in
 * life. In lenient mode it may be expired or older than listed. The role replaces one of the same
 * name for later calls; what was handed out of that one stays valid until the set is freed.
 */
enum verdict trustset_add_targets(struct trustset *set, const char *name,
				  const struct role_signers *signers, struct span bytes,
				  struct err *err) MUST_USE;

/*
 * The held targets role `name`, checked (again) against `signers`, the ones that the delegator of
 * the present search demands; NULL if there is none or it does not satisfy them. Borrowed.
 */
const struct role *trustset_find_targets(struct trustset *set, const char *name,
					 const struct role_signers *signers);

/* The name under which a role from trustset_find_targets is held. Borrowed. */
const char *trustset_name(const struct trustset *set, const struct role *role);

/* The name of the i-th held targets role, NULL past the last. A name may come twice. Borrowed. */
const char *trustset_targets_name(const struct trustset *set, size_t i);

/* What the snapshot lists for the role; VERDICT_MISSING_TARGET_ROLE. */
enum verdict trustset_listing(const struct trustset *set, const char *name,
			      struct role_listing *out, struct err *err) MUST_USE;

/* The held roles; NULL where there is none. Borrowed. */
const struct role *trustset_root(const struct trustset *set);
const struct role *trustset_timestamp(const struct trustset *set);
const struct role *trustset_snapshot(const struct trustset *set);

/* The earliest end of life among the held roles, and whose it is (borrowed); INT64_MAX if empty. */
int64_t trustset_expires(const struct trustset *set, const char **role_out);

/* True if a held snapshot or targets role is older than what lists it (lenient mode only). */
bool trustset_is_stale(const struct trustset *set);

#endif
