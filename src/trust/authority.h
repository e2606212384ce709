/*
 * Who may sign a role, as the delegating role file of our own site says: its keys, and how many of
 * them must. Checks and makes the signatures of such files.
 *
 * For files of others, where every member may lie, there is the client's verifier; this one serves
 * the site on documents that it wrote itself.
 *
 * PURE.
 */
#ifndef TRUST_AUTHORITY_H
#define TRUST_AUTHORITY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/signer.h"

/* Borrowed from the document that delegates; members are NULL and 0 where it does not know the
 * role. */
struct authority {
	const json_t *keys;   /* key id → key object */
	const json_t *keyids; /* of this role */
	size_t threshold;
};

/* The secret keys that are here. */
struct authority_signers {
	struct signer **items;
	size_t count;
};

/* For `role_name`: by root's body, or by a targets body that delegates. */
struct authority authority_by_root(const json_t *root_body, const char *role_name);
struct authority authority_by_targets(const json_t *targets_body, const char *role_name);

/* How many of the listed keys are among `signers`. */
size_t authority_here(const struct authority *who, const struct authority_signers *signers);

/* Check the signatures of `doc`, {"signatures","signed"}: ERR_TRUST if fewer than the threshold are
 * good. */
bool authority_check(const struct authority *who, const json_t *doc, struct err *err) MUST_USE;

/* Signatures over `text` by every listed key that is here, as TUF's array; the caller owns it. */
json_t *authority_sign(const struct authority *who, const struct authority_signers *signers,
		       struct span text) MUST_USE;

/*
 * Add to `signatures` those over `text` by every key in `keys` that is here, each in the place of
 * one that the same key made before. Returns how many are by keys that are here.
 */
size_t authority_countersign(json_t *signatures, const json_t *keys,
			     const struct authority_signers *signers, struct span text);

/* True if both let the same keys sign, as many of them. */
bool authority_equal(const struct authority *a, const struct authority *b);

/* Add `key` to a "keys" object and to the "keyids" of a role. */
void authority_add_key(json_t *keys, json_t *keyids, const struct key *key);

#endif
