#include "trust/authority.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/text.h"

static struct authority authority_of(const json_t *keys, const json_t *entry)
{
	int64_t threshold = jsondoc_int(entry, "threshold", 0);

	return (struct authority){
		.keys = keys,
		.keyids = json_object_get(entry, "keyids"),
		.threshold = threshold > 0 ? (size_t)threshold : 0,
	};
}

struct authority authority_by_root(const json_t *root_body, const char *role_name)
{
	return authority_of(json_object_get(root_body, "keys"),
			    json_object_get(json_object_get(root_body, "roles"), role_name));
}

struct authority authority_by_targets(const json_t *targets_body, const char *role_name)
{
	const json_t *delegations = json_object_get(targets_body, "delegations");
	size_t i;
	json_t *entry;

	json_array_foreach (json_object_get(delegations, "roles"), i, entry) {
		const char *name = jsondoc_text(entry, "name");

		if (name != NULL && strcmp(name, role_name) == 0)
			return authority_of(json_object_get(delegations, "keys"), entry);
	}
	return (struct authority){ 0 };
}

/* The parsed key with this id; NULL if there is none. The caller frees it. */
static struct key *new_key(const struct authority *who, const char *keyid)
{
	const json_t *object = json_object_get(who->keys, keyid);
	struct key *key = NULL;
	struct err err;

	return object != NULL && keys_parse(&key, object, &err) ? key : NULL;
}

static const struct signer *find_signer(const struct authority *who, const char *keyid,
					const struct authority_signers *signers)
{
	SCOPED(key) struct key *key = new_key(who, keyid);

	for (size_t i = 0; key != NULL && i < signers->count; i++)
		if (keys_equal(signer_public(signers->items[i]), key))
			return signers->items[i];
	return NULL;
}

size_t authority_here(const struct authority *who, const struct authority_signers *signers)
{
	size_t here = 0, i;
	json_t *keyid;

	json_array_foreach (who->keyids, i, keyid) {
		if (find_signer(who, json_string_value(keyid), signers) != NULL)
			here++;
	}
	return here;
}

static const char *signature_by(const json_t *signatures, const char *keyid)
{
	size_t i;
	json_t *entry;

	json_array_foreach (signatures, i, entry) {
		const char *id = jsondoc_text(entry, "keyid");

		if (id != NULL && strcmp(id, keyid) == 0)
			return jsondoc_text(entry, "sig");
	}
	return NULL;
}

/* Two ids for one key, which the client guards against, do not occur in what the site wrote. */
static size_t count_valid(const struct authority *who, const json_t *signatures, struct span text)
{
	size_t valid = 0, i;
	json_t *keyid;

	json_array_foreach (who->keyids, i, keyid) {
		const char *id = json_string_value(keyid);
		const char *signature = signature_by(signatures, id);
		SCOPED(key) struct key *key = new_key(who, id);

		if (key != NULL && signature != NULL && keys_verify_hex(key, text, signature))
			valid++;
	}
	return valid;
}

bool authority_check(const struct authority *who, const json_t *doc, struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };
	size_t valid;

	if (!jsondoc_canonical(&text, json_object_get(doc, "signed"), err))
		return false;
	valid = count_valid(who, json_object_get(doc, "signatures"), buf_span(&text));
	if (who->threshold == 0 || valid < who->threshold)
		return err_set(err, ERR_TRUST, "%zu valid signatures of %zu needed", valid,
			       who->threshold);
	return true;
}

static json_t *new_signature(const char *keyid, const struct signer *signer, struct span text)
{
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	char hex[2 * SIGNER_SIGNATURE_SIZE + 1];
	json_t *entry = json_object();

	signer_sign(signature, signer, text);
	text_hex(hex, signature, sizeof(signature));
	jsondoc_set_text(entry, "keyid", keyid);
	jsondoc_set_text(entry, "sig", hex);
	return entry;
}

json_t *authority_sign(const struct authority *who, const struct authority_signers *signers,
		       struct span text)
{
	json_t *signatures = json_array();
	size_t i;
	json_t *keyid;

	json_array_foreach (who->keyids, i, keyid) {
		const char *id = json_string_value(keyid);
		const struct signer *signer = find_signer(who, id, signers);

		if (signer != NULL)
			json_array_append_new(signatures, new_signature(id, signer, text));
	}
	return signatures;
}

static void drop_signature(json_t *signatures, const char *keyid)
{
	for (size_t i = json_array_size(signatures); i-- > 0;) {
		const char *id = jsondoc_text(json_array_get(signatures, i), "keyid");

		if (id != NULL && strcmp(id, keyid) == 0)
			json_array_remove(signatures, i);
	}
}

size_t authority_countersign(json_t *signatures, const json_t *keys,
			     const struct authority_signers *signers, struct span text)
{
	const struct authority who = { .keys = keys };
	const char *keyid;
	size_t made = 0;
	json_t *object;

	json_object_foreach ((json_t *)(uintptr_t)keys, keyid, object) {
		const struct signer *signer = find_signer(&who, keyid, signers);

		if (signer == NULL)
			continue;
		drop_signature(signatures, keyid);
		json_array_append_new(signatures, new_signature(keyid, signer, text));
		made++;
	}
	return made;
}

bool authority_equal(const struct authority *a, const struct authority *b)
{
	return a->threshold == b->threshold &&
	       (a->keyids == b->keyids || json_equal(a->keyids, b->keyids));
}

void authority_add_key(json_t *keys, json_t *keyids, const struct key *key)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest id;

	keys_id(&id, key);
	digest_print(hex, &id);
	jsondoc_set(keys, hex, keys_print(key));
	json_array_append_new(keyids, json_string(hex));
}
