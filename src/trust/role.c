#include "trust/role.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/jsondoc.h"
#include "common/text.h"
#include "trust/filehash.h"
#include "trust/pathmatch.h"
#include "trust/rolename.h"

#define SPEC_VERSION_MAX 32
#define KEYID_MAX        256
#define EXPIRES_SIZE     20 /* 2026-11-22T14:43:37Z and no other form */

static const struct {
	const char *name;
	size_t max;
} kinds[] = {
	[ROLE_ROOT] = { "root", ROLE_ROOT_MAX },
	[ROLE_TIMESTAMP] = { "timestamp", ROLE_TIMESTAMP_MAX },
	[ROLE_SNAPSHOT] = { "snapshot", ROLE_SNAPSHOT_MAX },
	[ROLE_TARGETS] = { "targets", ROLE_TARGETS_MAX },
};
static_assert(COUNT_OF(kinds) == ROLE_COUNT_, "every kind has a row");

const char *role_kind_name(enum role_kind kind)
{
	assert(kind < ROLE_COUNT_);
	return kinds[kind].name;
}

size_t role_kind_max(enum role_kind kind)
{
	assert(kind < ROLE_COUNT_);
	return kinds[kind].max;
}

/* The keys of a file by their ids. */
struct role_keyring {
	struct role_keyring_entry {
		const char *keyid;
		struct key *key;
	} * entries; /* sorted by id */
	size_t count;
};

/* Every entry of the sorted arrays below begins with the text it is sorted by. */
static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void keyring_free(struct role_keyring *ring)
{
	if (ring == NULL)
		return;
	for (size_t i = 0; i < ring->count; i++)
		keys_free(ring->entries[i].key);
	free(ring->entries);
	free(ring);
}

static const struct key *keyring_find(const struct role_keyring *ring, const char *keyid)
{
	const struct role_keyring_entry *entry = NULL;

	if (ring->count > 0)
		entry = bsearch(&keyid, ring->entries, ring->count, sizeof(*ring->entries),
				compare_texts);
	return entry != NULL ? entry->key : NULL;
}

static bool is_keyid(const char *text)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= KEYID_MAX;
}

/* Fill the role's keyring from the "keys" of its root or delegations object. */
static bool read_keys(struct role *role, const json_t *holder, struct err *err)
{
	struct role_keyring *ring = alloc_zeroed(1, sizeof(*ring));
	const char *keyid;
	json_t *keys, *value;

	role->keyring = ring;
	if (!jsondoc_need_object(&keys, holder, "keys", err))
		return false;
	if (json_object_size(keys) > ROLE_KEYS_MAX)
		return err_set(err, ERR_FORMAT, "%zu keys, at most %d are read",
			       json_object_size(keys), ROLE_KEYS_MAX);
	ring->entries = alloc_zeroed(json_object_size(keys), sizeof(*ring->entries));
	json_object_foreach (keys, keyid, value) {
		struct role_keyring_entry *entry = &ring->entries[ring->count];

		if (!is_keyid(keyid))
			return err_set(err, ERR_FORMAT, "a key id is empty or too long");
		if (!keys_parse(&entry->key, value, err))
			return false;
		entry->keyid = keyid;
		ring->count++;
	}
	if (ring->count > 0)
		qsort(ring->entries, ring->count, sizeof(*ring->entries), compare_texts);
	return true;
}

/* True if two neighbours of a sorted array (see compare_texts) have the same text. */
static bool has_twins(const void *array, size_t count, size_t size)
{
	const char *at = array;

	for (size_t i = 1; i < count; i++)
		if (compare_texts(at + (i - 1) * size, at + i * size) == 0)
			return true;
	return false;
}

/* Read "keyids" and "threshold" of a role's entry. */
static bool read_signers(struct role_signers *out, const struct role *role, const json_t *entry,
			 struct err *err)
{
	json_t *ids, *id;
	size_t i;

	if (!jsondoc_need_array(&ids, entry, "keyids", ROLE_KEYS_MAX, err) ||
	    !jsondoc_need_int(&out->threshold, entry, "threshold", 1, JSONDOC_INT_MAX, err))
		return false;
	out->list = alloc_zeroed(json_array_size(ids), sizeof(*out->list));
	json_array_foreach (ids, i, id) {
		const char *keyid = json_string_value(id);

		if (!is_keyid(keyid))
			return err_set(err, ERR_FORMAT, "\"keyids\" holds something else");
		out->list[i].keyid = keyid;
		out->list[i].key = keyring_find(role->keyring, keyid);
		out->count++;
	}
	if (out->count > 0)
		qsort(out->list, out->count, sizeof(*out->list), compare_texts);
	if (has_twins(out->list, out->count, sizeof(*out->list)))
		return err_set(err, ERR_FORMAT, "\"keyids\" names a key twice");
	return true;
}

static bool read_root(struct role *role, struct err *err)
{
	const json_t *consistent = json_object_get(role->body, "consistent_snapshot");
	json_t *roles, *entry;

	if (consistent != NULL && !json_is_boolean(consistent))
		return err_set(err, ERR_FORMAT, "\"consistent_snapshot\" is no truth value");
	role->consistent_snapshot = json_is_true(consistent);
	if (!read_keys(role, role->body, err) ||
	    !jsondoc_need_object(&roles, role->body, "roles", err))
		return false;
	for (size_t i = 0; i < ROLE_COUNT_; i++)
		if (!jsondoc_need_object(&entry, roles, kinds[i].name, err) ||
		    !read_signers(&role->top[i], role, entry, err))
			return false;
	return true;
}

static bool is_length(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* One value of "meta". */
static bool check_listing(const json_t *entry, struct err *err)
{
	const json_t *length = json_object_get(entry, "length");
	const json_t *hashes = json_object_get(entry, "hashes");
	int64_t version;

	if (!jsondoc_need_int(&version, entry, "version", 1, JSONDOC_INT_MAX, err))
		return false;
	if (length != NULL && !is_length(length))
		return err_set(err, ERR_FORMAT, "\"length\" is no size");
	return hashes == NULL || filehash_is_fine(hashes, err);
}

static bool read_meta(struct role *role, struct err *err)
{
	const char *file;
	json_t *meta, *entry;

	if (!jsondoc_need_object(&meta, role->body, "meta", err))
		return false;
	role->files = meta;
	json_object_foreach (meta, file, entry)
		if (!check_listing(entry, err))
			return err_set(err, ERR_FORMAT, "\"meta\" lists %s in a wrong form", file);
	return true;
}

static bool read_snapshot(struct role *role, struct err *err)
{
	return read_meta(role, err) && (json_object_get(role->files, "targets.json") != NULL ||
					err_set(err, ERR_FORMAT, "\"targets.json\" is not listed"));
}

static bool read_timestamp(struct role *role, struct err *err)
{
	return read_meta(role, err) &&
	       (json_object_get(role->files, "snapshot.json") != NULL ||
		err_set(err, ERR_FORMAT, "\"snapshot.json\" is not listed"));
}

static bool check_texts(const json_t *array, const char *what, struct err *err)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(array))
		return err_set(err, ERR_FORMAT, "\"%s\" is no array", what);
	json_array_foreach (array, i, item)
		if (!json_is_string(item))
			return err_set(err, ERR_FORMAT, "\"%s\" holds something else", what);
	return true;
}

static bool read_delegation(struct role_delegation *d, const struct role *role, const json_t *entry,
			    struct err *err)
{
	const json_t *terminating = json_object_get(entry, "terminating");

	if (!read_signers(&d->signers, role, entry, err) ||
	    !jsondoc_need_text(&d->name, entry, "name", err))
		return false;
	if (!rolename_is_delegated(d->name))
		return err_set(err, ERR_FORMAT, "no role can be named \"%s\"", d->name);
	if (terminating != NULL && !json_is_boolean(terminating))
		return err_set(err, ERR_FORMAT, "\"terminating\" is no truth value");
	d->terminating = json_is_true(terminating);
	d->paths = json_object_get(entry, "paths");
	d->prefixes = json_object_get(entry, "path_hash_prefixes");
	if ((d->paths != NULL) == (d->prefixes != NULL))
		return err_set(err, ERR_FORMAT,
			       "role %s needs either \"paths\" or \"path_hash_prefixes\"", d->name);
	return d->paths != NULL ? check_texts(d->paths, "paths", err)
				: check_texts(d->prefixes, "path_hash_prefixes", err);
}

static bool check_names(const struct role *role, struct err *err)
{
	const char **names = alloc_zeroed(role->delegation_count, sizeof(*names));
	bool twins;

	for (size_t i = 0; i < role->delegation_count; i++)
		names[i] = role->delegations[i].name;
	qsort(names, role->delegation_count, sizeof(*names), compare_texts);
	twins = has_twins(names, role->delegation_count, sizeof(*names));
	free(names);
	return !twins || err_set(err, ERR_FORMAT, "a role is delegated to twice");
}

static bool read_delegation_list(struct role *role, const json_t *holder, struct err *err)
{
	json_t *list, *entry;
	size_t i;

	if (!jsondoc_need_array(&list, holder, "roles", ROLE_DELEGATIONS_MAX, err))
		return false;
	role->delegations = alloc_zeroed(json_array_size(list), sizeof(*role->delegations));
	json_array_foreach (list, i, entry) {
		role->delegation_count++;
		if (!read_delegation(&role->delegations[i], role, entry, err))
			return false;
	}
	return role->delegation_count == 0 || check_names(role, err);
}

/* Bins: one set of signers for 2^bits roles that share the space of path hashes evenly. */
static bool read_bins(struct role *role, const json_t *entry, struct err *err)
{
	struct role_delegation *d = alloc_zeroed(1, sizeof(*d));
	SCOPED_TEXT char *longest = NULL;
	int64_t bits;

	role->delegations = d;
	role->delegation_count = 1;
	if (!read_signers(&d->signers, role, entry, err) ||
	    !jsondoc_need_int(&bits, entry, "bit_length", 1, 32, err) ||
	    !jsondoc_need_text(&d->bin_prefix, entry, "name_prefix", err))
		return false;
	d->bin_bits = (unsigned int)bits;
	longest = alloc_printf("%.*s-ffffffff", ROLENAME_MAX + 1, d->bin_prefix);
	return rolename_is_delegated(longest) ||
	       err_set(err, ERR_FORMAT, "no role can be named \"%s\"", longest);
}

static bool read_targets(struct role *role, struct err *err)
{
	const json_t *delegations = json_object_get(role->body, "delegations");
	const char *path;
	const json_t *bins;
	json_t *targets, *entry;

	if (!jsondoc_need_object(&targets, role->body, "targets", err))
		return false;
	role->files = targets;
	json_object_foreach (targets, path, entry)
		if (!is_length(json_object_get(entry, "length")) ||
		    !filehash_is_fine(json_object_get(entry, "hashes"), err))
			return err_set(err, ERR_FORMAT, "target %s has no proper length or hash",
				       path);
	if (delegations == NULL)
		return true;
	if (!read_keys(role, delegations, err))
		return false;
	bins = json_object_get(delegations, "succinct_roles");
	if (bins == NULL)
		return read_delegation_list(role, delegations, err);
	if (json_object_get(delegations, "roles") != NULL)
		return err_set(err, ERR_FORMAT,
			       "\"roles\" and \"succinct_roles\" exclude each other");
	return read_bins(role, bins, err);
}

static bool read_signatures(struct role *role, struct err *err)
{
	json_t *list, *entry;
	size_t i;

	if (!jsondoc_need_array(&list, role->document, "signatures", ROLE_KEYS_MAX, err))
		return false;
	role->signatures = alloc_zeroed(json_array_size(list), sizeof(*role->signatures));
	json_array_foreach (list, i, entry) {
		struct role_signature *s = &role->signatures[i];

		if (!jsondoc_need_text(&s->keyid, entry, "keyid", err) ||
		    !jsondoc_need_text(&s->hex, entry, "sig", err))
			return false;
		role->signature_count++;
	}
	if (role->signature_count > 0)
		qsort(role->signatures, role->signature_count, sizeof(*role->signatures),
		      compare_texts);
	if (has_twins(role->signatures, role->signature_count, sizeof(*role->signatures)))
		return err_set(err, ERR_FORMAT, "\"signatures\" has a key id twice");
	return true;
}

/* Major version 1: "1.0" of old, or three numbers. */
static bool is_spec_version(const char *text)
{
	size_t dots = 0;

	if (strncmp(text, "1.", 2) != 0 || strlen(text) > SPEC_VERSION_MAX ||
	    strspn(text, "0123456789.") != strlen(text))
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if (*p == '.')
			dots++;
	return dots == 2 || strcmp(text, "1.0") == 0;
}

static bool read_common(struct role *role, struct err *err)
{
	const char *spec_version, *expires;

	if (!jsondoc_need_text(&spec_version, role->body, "spec_version", err) ||
	    !jsondoc_need_int(&role->version, role->body, "version", 1, JSONDOC_INT_MAX, err) ||
	    !jsondoc_need_text(&expires, role->body, "expires", err))
		return false;
	if (!is_spec_version(spec_version))
		return err_set(err, ERR_FORMAT, "\"spec_version\" is %s, not 1.x.y", spec_version);
	if (strlen(expires) != EXPIRES_SIZE || expires[10] != 'T' ||
	    expires[EXPIRES_SIZE - 1] != 'Z' || !clock_parse(&role->expires, expires))
		return err_set(err, ERR_FORMAT, "\"expires\" is no time in UTC");
	return true;
}

static bool (*const readers[])(struct role *role, struct err *err) = {
	[ROLE_ROOT] = read_root,
	[ROLE_TIMESTAMP] = read_timestamp,
	[ROLE_SNAPSHOT] = read_snapshot,
	[ROLE_TARGETS] = read_targets,
};

/* The document and its "_type"; what else it holds depends on that. */
static bool read_envelope(struct role *role, struct span bytes, const char **type, struct err *err)
{
	json_t *body;

	if (!jsondoc_read(&role->document, bytes, err) ||
	    !jsondoc_need_object(&body, role->document, "signed", err))
		return false;
	role->body = body;
	return jsondoc_need_text(type, body, "_type", err);
}

enum verdict role_parse(struct role **out, enum role_kind kind, struct span bytes, struct err *err)
{
	SCOPED(role) struct role *role = alloc_zeroed(1, sizeof(*role));
	const char *type;

	role->kind = kind;
	if (bytes.size > role_kind_max(kind))
		return verdict_set(err, VERDICT_TOO_LARGE,
				   "%s metadata has %zu bytes, at most %zu are read",
				   kinds[kind].name, bytes.size, kinds[kind].max);
	if (!read_envelope(role, bytes, &type, err))
		return verdict_wrap(err, VERDICT_MALFORMED, kinds[kind].name);
	if (strcmp(type, kinds[kind].name) != 0)
		return verdict_set(err, VERDICT_WRONG_ROLE, "expected %s metadata, got %.40s",
				   kinds[kind].name, type);
	if (!read_common(role, err) || !read_signatures(role, err) || !readers[kind](role, err))
		return verdict_wrap(err, VERDICT_MALFORMED, kinds[kind].name);
	*out = role;
	role = NULL;
	return VERDICT_OK;
}

void role_free(struct role *role)
{
	if (role == NULL)
		return;
	for (size_t i = 0; i < ROLE_COUNT_; i++)
		free(role->top[i].list);
	for (size_t i = 0; i < role->delegation_count; i++)
		free(role->delegations[i].signers.list);
	free(role->delegations);
	free(role->signatures);
	keyring_free(role->keyring);
	json_decref(role->document);
	free(role);
}

bool role_payload(struct buf *out, const struct role *role, struct err *err)
{
	return jsondoc_canonical(out, role->body, err);
}

const struct role_signature *role_signature_find(const struct role *role, const char *keyid)
{
	if (role->signature_count == 0)
		return NULL;
	return bsearch(&keyid, role->signatures, role->signature_count, sizeof(*role->signatures),
		       compare_texts);
}

bool role_listing_find(struct role_listing *out, const struct role *role, const char *file)
{
	const json_t *entry = json_object_get(role->files, file);

	if (entry == NULL)
		return false;
	*out = (struct role_listing){
		.version = jsondoc_int(entry, "version", 0),
		.length = jsondoc_int(entry, "length", -1),
		.hashes = json_object_get(entry, "hashes"),
	};
	return true;
}

bool role_listing_of(struct role_listing *out, const struct role *role, const char *name)
{
	SCOPED_TEXT char *file = alloc_printf("%s.json", name);

	return role_listing_find(out, role, file);
}

bool role_target_find(struct role_target *out, const struct role *role, const char *path)
{
	const json_t *entry = json_object_get(role->files, path);

	if (entry == NULL)
		return false;
	*out = (struct role_target){
		.length = jsondoc_int(entry, "length", 0),
		.hashes = json_object_get(entry, "hashes"),
		.custom = json_object_get(entry, "custom"),
	};
	return true;
}

bool role_delegation_covers(const struct role_delegation *d, const char *path,
			    const struct digest *path_digest)
{
	char hex[DIGEST_HEX_SIZE];
	const json_t *item;
	size_t i;

	if (d->name == NULL)
		return true;
	json_array_foreach (d->paths, i, item)
		if (pathmatch_glob(json_string_value(item), path))
			return true;
	if (d->prefixes == NULL)
		return false;
	digest_print(hex, path_digest);
	json_array_foreach (d->prefixes, i, item)
		if (strncmp(hex, json_string_value(item), json_string_length(item)) == 0)
			return true;
	return false;
}

char *role_delegation_name(const struct role_delegation *d, const struct digest *path_digest)
{
	const uint8_t *p = path_digest->bytes;
	uint32_t number;

	if (d->name != NULL)
		return alloc_text(d->name);
	number = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	number >>= 32 - d->bin_bits;
	return alloc_printf("%s-%0*" PRIx32, d->bin_prefix, (int)(d->bin_bits + 3) / 4, number);
}
