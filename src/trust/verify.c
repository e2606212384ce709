#include "trust/verify.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "trust/filehash.h"

/* The keys whose signatures were found good so far. */
struct tally {
	const struct key **keys;
	size_t count;
};

static bool tally_has(const struct tally *t, const struct key *key)
{
	for (size_t i = 0; i < t->count; i++)
		if (keys_equal(t->keys[i], key))
			return true;
	return false;
}

static void tally_signer(struct tally *t, const struct role *role, const struct role_signer *signer,
			 struct span payload)
{
	const struct role_signature *signature = role_signature_find(role, signer->keyid);

	if (signature == NULL || signer->key == NULL || tally_has(t, signer->key))
		return;
	if (keys_verify_hex(signer->key, payload, signature->hex))
		t->keys[t->count++] = signer->key;
}

enum verdict verify_threshold(const struct role *role, const struct role_signers *signers,
			      const char *name, struct err *err)
{
	SCOPED(buf) struct buf payload = { 0 };
	struct tally tally = { 0 };
	size_t good;

	/* A threshold below one never gets past role_parse: nothing verifies by itself. */
	assert(signers->threshold >= 1);
	if (!role_payload(&payload, role, err))
		return verdict_wrap(err, VERDICT_MALFORMED, name);
	tally.keys = alloc_zeroed(signers->count + 1, sizeof(struct key *));
	for (size_t i = 0; i < signers->count && (int64_t)tally.count < signers->threshold; i++)
		tally_signer(&tally, role, &signers->list[i], buf_span(&payload));
	good = tally.count;
	free(tally.keys);
	if ((int64_t)good < signers->threshold)
		return verdict_set(err, VERDICT_BELOW_THRESHOLD,
				   "%s version %" PRId64 ": %zu of %" PRId64
				   " required keys signed it",
				   name, role->version, good, signers->threshold);
	return VERDICT_OK;
}

static enum verdict check_length(int64_t want, const char *name, struct span bytes, struct err *err)
{
	if ((uint64_t)want == bytes.size)
		return VERDICT_OK;
	return verdict_set(err, VERDICT_BAD_LENGTH, "%s has %zu bytes, signed are %" PRId64, name,
			   bytes.size, want);
}

static enum verdict check_hashes(const json_t *hashes, const char *name, struct span bytes,
				 struct err *err)
{
	if (filehash_matches(hashes, bytes))
		return VERDICT_OK;
	return verdict_set(err, VERDICT_BAD_HASH, "%s does not have the signed hash", name);
}

enum verdict verify_listing(const struct role_listing *listing, const char *name, struct span bytes,
			    struct err *err)
{
	enum verdict verdict = VERDICT_OK;

	if (listing->length >= 0)
		verdict = check_length(listing->length, name, bytes, err);
	if (verdict == VERDICT_OK && listing->hashes != NULL)
		verdict = check_hashes(listing->hashes, name, bytes, err);
	return verdict;
}

enum verdict verify_target(const struct role_target *target, const char *path, struct span bytes,
			   struct err *err)
{
	enum verdict verdict = check_length(target->length, path, bytes, err);

	return verdict == VERDICT_OK ? check_hashes(target->hashes, path, bytes, err) : verdict;
}

enum verdict verify_life(const struct role *role, const char *name, int64_t now_s, struct err *err)
{
	char when[CLOCK_TEXT_MAX];

	if (role->expires > now_s)
		return VERDICT_OK;
	clock_print(when, role->expires);
	return verdict_set(err, VERDICT_EXPIRED, "%s version %" PRId64 " expired at %s", name,
			   role->version, when);
}

static bool has_key(const struct role_signers *signers, const struct key *key)
{
	for (size_t i = 0; i < signers->count; i++)
		if (signers->list[i].key != NULL && keys_equal(signers->list[i].key, key))
			return true;
	return false;
}

bool verify_keys_kept(const struct role_signers *before, const struct role_signers *after)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct key *key = before->list[i].key;

		if (key != NULL && keys_kind(key) != KEY_UNUSABLE && !has_key(after, key))
			return false;
	}
	return true;
}
