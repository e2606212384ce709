/*
 * The checks of metadata: enough signatures, the listed length and hashes, in life.
 *
 * Small predicates without state; the order in which a client applies them is updater.h's.
 *
 * PURE.
 */
#ifndef TRUST_VERIFY_H
#define TRUST_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/role.h"
#include "trust/verdict.h"

/*
 * VERDICT_OK if at least `signers->threshold` distinct keys (by value, whatever their ids) made a
 * valid signature over `role`; VERDICT_BELOW_THRESHOLD if fewer did, however many bad ones there
 * are beside. `name` is the role's name for `err`. A "signed" without canonical form is malformed.
 */
enum verdict verify_threshold(const struct role *role, const struct role_signers *signers,
			      const char *name, struct err *err) MUST_USE;

/*
 * VERDICT_OK if `bytes` have the length and hashes of the listing, as far as it says them;
 * VERDICT_BAD_LENGTH, VERDICT_BAD_HASH.
 */
enum verdict verify_listing(const struct role_listing *listing, const char *name, struct span bytes,
			    struct err *err) MUST_USE;

/* The same for a target, of which both are always listed. */
enum verdict verify_target(const struct role_target *target, const char *path, struct span bytes,
			   struct err *err) MUST_USE;

/* VERDICT_EXPIRED unless `role` lives at `now_s` (its expiry lies behind it). */
enum verdict verify_life(const struct role *role, const char *name, int64_t now_s, struct err *err)
	MUST_USE;

/* True if each usable key of `before` is still one of `after`: nothing was revoked. */
bool verify_keys_kept(const struct role_signers *before, const struct role_signers *after);

#endif
