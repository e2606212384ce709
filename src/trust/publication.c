#include "trust/publication.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "trust/pubstate.h"

char *publication_target_file(const char *path, const struct digest *sha256)
{
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, sha256);
	return alloc_printf("%.*s%s.%s", folder, path, hex, path + folder);
}

/* ---- life ---- */

struct publication *publication_new(void)
{
	struct publication *pub = alloc_zeroed(1, sizeof(*pub));

	for (size_t role = 0; role < SITEROLE_COUNT_; role++)
		if (siterole_lists_targets((enum siterole)role))
			pub->roles[role].targets = json_object();
	return pub;
}

void publication_free(struct publication *pub)
{
	if (pub == NULL)
		return;
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		edition_release(&pub->roles[i].now);
		edition_release(&pub->roles[i].next);
		edition_release(&pub->roles[i].given);
		buf_release(&pub->roles[i].given_bytes);
		json_decref(pub->roles[i].targets);
		json_decref(pub->roles[i].draft);
	}
	free(pub);
}

void publication_paths_release(struct publication_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		free(paths->items[i]);
	free(paths->items);
	*paths = (struct publication_paths){ 0 };
}

/* ---- founding ---- */

/* {"keyids":[…],"threshold":1}, its key added to `keys`. */
static json_t *new_role_entry(json_t *keys, const struct key *key)
{
	json_t *entry = json_object(), *keyids = json_array();

	authority_add_key(keys, keyids, key);
	jsondoc_set(entry, "keyids", keyids);
	jsondoc_set_int(entry, "threshold", 1);
	return entry;
}

static void found_root(json_t *body, const struct key *const *role_keys)
{
	json_t *keys = json_object(), *roles = json_object();

	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		enum siterole role = (enum siterole)i;

		if (siterole_delegator(role) == SITEROLE_ROOT)
			jsondoc_set(roles, siterole_name(role).text,
				    new_role_entry(keys, role_keys[i]));
	}
	jsondoc_set_flag(body, "consistent_snapshot", true);
	jsondoc_set(body, "keys", keys);
	jsondoc_set(body, "roles", roles);
}

static json_t *new_delegation(enum siterole role, json_t *keys, const struct key *key)
{
	const struct siterole_rule *rule = siterole_rule(role);
	json_t *entry = new_role_entry(keys, key), *paths = json_array();

	for (size_t i = 0; i < SITEROLE_PATTERNS_MAX; i++)
		if (rule->patterns[i] != NULL)
			json_array_append_new(paths, json_string(rule->patterns[i]));
	jsondoc_set_text(entry, "name", siterole_name(role).text);
	jsondoc_set(entry, "paths", paths);
	jsondoc_set_flag(entry, "terminating", true);
	return entry;
}

static void found_delegations(json_t *body, const struct key *const *role_keys)
{
	json_t *delegations = json_object(), *keys = json_object(), *roles = json_array();

	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		enum siterole role = (enum siterole)i;

		if (siterole_is_delegated(role))
			json_array_append_new(roles, new_delegation(role, keys, role_keys[i]));
	}
	jsondoc_set(delegations, "keys", keys);
	jsondoc_set(delegations, "roles", roles);
	jsondoc_set(body, "delegations", delegations);
}

void publication_found(struct publication *pub, const struct key *const *role_keys)
{
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		edition_release(&pub->roles[role].now);
		if (!siterole_is_bin(role))
			pub->roles[role].now.body = pubstate_new_body(role);
	}
	found_root(pub->roles[SITEROLE_ROOT].now.body, role_keys);
	found_delegations(pub->roles[SITEROLE_TARGETS].now.body, role_keys);
}

/* ---- keys of a role ---- */

void publication_role_keys(struct publication_keys *out, const struct publication *pub,
			   enum siterole role, const struct authority_signers *signers)
{
	struct authority who = pubstate_authority_now(pub, role);

	*out = (struct publication_keys){
		.listed = json_array_size(who.keyids),
		.threshold = who.threshold,
		.here = authority_here(&who, signers),
	};
}

/* ---- changes of keys ---- */

json_t *publication_signers(struct publication *pub, enum siterole role)
{
	enum siterole delegator = siterole_delegator(role);
	json_t **draft = &pub->roles[delegator].draft;

	assert(!siterole_is_bin(role));
	if (*draft == NULL) {
		*draft = json_object();
		pubstate_copy_signers(*draft, pub->roles[delegator].now.body, delegator);
	}
	return delegator == SITEROLE_ROOT ? *draft : json_object_get(*draft, "delegations");
}

json_t *publication_keychanges(const struct publication *pub)
{
	json_t *changes = NULL;

	for (enum siterole role = SITEROLE_ROOT; role <= SITEROLE_TARGETS; role++) {
		if (pub->roles[role].draft == NULL)
			continue;
		if (changes == NULL)
			changes = json_object();
		jsondoc_set(changes, siterole_name(role).text,
			    json_deep_copy(pub->roles[role].draft));
	}
	return changes;
}

/* True if the draft says what is published: a kill came between publishing it and forgetting it. */
static bool is_published(const struct publication *pub, enum siterole role, const json_t *draft)
{
	json_auto_t *drafted = json_object(), *published = json_object();

	pubstate_copy_signers(drafted, draft, role);
	pubstate_copy_signers(published, pub->roles[role].now.body, role);
	return json_equal(drafted, published);
}

void publication_set_keychanges(struct publication *pub, const json_t *changes)
{
	for (enum siterole role = SITEROLE_ROOT; role <= SITEROLE_TARGETS; role++) {
		json_t *draft = json_object_get(changes, siterole_name(role).text);

		json_decref(pub->roles[role].draft);
		pub->roles[role].draft = draft != NULL && !is_published(pub, role, draft)
						 ? json_deep_copy(draft)
						 : NULL;
	}
}

/* ---- reading back ---- */

/* The entry for `role` in the timestamp's or snapshot's list; NULL for those that are in none. */
static const json_t *meta_of(const struct publication *pub, enum siterole role)
{
	enum siterole lister = role == SITEROLE_SNAPSHOT ? SITEROLE_TIMESTAMP : SITEROLE_SNAPSHOT;
	char name[32];

	snprintf(name, sizeof(name), "%s.json", siterole_name(role).text);
	return json_object_get(json_object_get(pub->roles[lister].now.body, "meta"), name);
}

static bool is_as_listed(const struct publication *pub, enum siterole role, const struct edition *e,
			 struct err *err)
{
	const json_t *meta = meta_of(pub, role);
	const char *hex = jsondoc_text(json_object_get(meta, "hashes"), "sha256");
	struct digest want;

	if (jsondoc_int(meta, "version", 0) != e->version)
		return err_set(err, ERR_TRUST, "version %" PRId64 " is not the one that is listed",
			       e->version);
	if (hex == NULL || !digest_parse(&want, hex) || !digest_equal(&want, &e->sha256))
		return err_set(err, ERR_TRUST, "its hash is not the one that is listed");
	return true;
}

static bool check_edition(const struct publication *pub, enum siterole role,
			  const struct edition *e, const json_t *doc, struct err *err)
{
	const json_t *root = role == SITEROLE_ROOT ? e->body : pub->roles[SITEROLE_ROOT].now.body;
	struct authority who = authority_by_root(root, siterole_name(role).text);

	return role == SITEROLE_ROOT || role == SITEROLE_TIMESTAMP
		       ? authority_check(&who, doc, err)
		       : is_as_listed(pub, role, e, err);
}

bool publication_load(struct publication *pub, enum siterole role, struct span bytes,
		      struct err *err)
{
	json_auto_t *doc = NULL;
	struct edition e = { 0 };
	bool done = bytes.size <= siterole_rule(role)->bytes_max ||
		    err_set(err, ERR_LIMIT, "%zu bytes, at most %zu are read", bytes.size,
			    siterole_rule(role)->bytes_max);

	done = done && jsondoc_read(&doc, bytes, err) &&
	       edition_read(&e, siterole_rule(role)->type, doc, bytes, err) &&
	       check_edition(pub, role, &e, doc, err);
	if (!done) {
		edition_release(&e);
		return err_what(err, "cannot read back the published role \"%s\"",
				siterole_name(role).text);
	}
	pubstate_use(pub, role, &e);
	if (siterole_lists_targets(role))
		pubstate_restart_targets(pub, role);
	return true;
}

void publication_saw_version(struct publication *pub, enum siterole role, int64_t version)
{
	pub->roles[role].floor = MAX_OF(pub->roles[role].floor, version);
}

int64_t publication_version(const struct publication *pub, enum siterole role)
{
	return pub->roles[role].now.version;
}

int64_t publication_listed_version(const struct publication *pub, enum siterole role)
{
	return jsondoc_int(meta_of(pub, role), "version", 0);
}

int64_t publication_expires(const struct publication *pub, enum siterole role)
{
	const struct siterole_rule *rule = siterole_rule(role);
	int64_t earliest = pub->roles[role].now.expires_s;

	for (enum siterole bin = rule->first_bin; bin < rule->first_bin + rule->bins; bin++)
		if (pub->roles[bin].now.version > 0)
			earliest = MIN_OF(earliest, pub->roles[bin].now.expires_s);
	return earliest;
}

unsigned int publication_bins(const struct publication *pub, enum siterole role)
{
	return json_object_get(pub->roles[role].now.body, "delegations") != NULL
		       ? siterole_rule(role)->bins
		       : 0;
}

/* ---- targets ---- */

/* The role, or bin, whose file lists the path. */
static bool role_of(enum siterole *out, const struct publication *pub, const char *path)
{
	if (!siterole_of_path(out, path))
		return false;
	if (pub->roles[*out].split)
		*out = siterole_bin_of_path(*out, path);
	return true;
}

static bool need_role_of(enum siterole *out, const struct publication *pub, const char *path,
			 struct err *err)
{
	return role_of(out, pub, path) ||
	       err_set(err, ERR_REFUSED, "target \"%s\": no role signs such a path", path);
}

static bool read_target(struct publication_target *out, const json_t *entry)
{
	const char *hex = jsondoc_text(json_object_get(entry, "hashes"), "sha256");

	out->length = (uint64_t)jsondoc_int(entry, "length", 0);
	return hex != NULL && digest_parse(&out->sha256, hex);
}

bool publication_find_target(struct publication_target *out, const struct publication *pub,
			     const char *path)
{
	enum siterole role;

	return role_of(&role, pub, path) &&
	       read_target(out, json_object_get(pub->roles[role].targets, path));
}

bool publication_set_target(struct publication *pub, const char *path,
			    const struct publication_target *target, struct err *err)
{
	enum siterole role;

	if (!need_role_of(&role, pub, path, err))
		return false;
	jsondoc_set(pub->roles[role].targets, path,
		    edition_new_listing(target->length, &target->sha256));
	return true;
}

bool publication_remove_target(struct publication *pub, const char *path, struct err *err)
{
	enum siterole role;

	if (!need_role_of(&role, pub, path, err))
		return false;
	(void)json_object_del(pub->roles[role].targets, path);
	return true;
}

bool publication_each_target(const struct publication *pub, publication_target_fn fn, void *ctx)
{
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		const char *path;
		json_t *entry;

		json_object_foreach (pub->roles[i].targets, path, entry) {
			struct publication_target target;

			if (read_target(&target, entry) && !fn(path, &target, ctx))
				return false;
		}
	}
	return true;
}

void publication_drop_changes(struct publication *pub)
{
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		edition_release(&pub->roles[i].next);
		if (siterole_lists_targets((enum siterole)i))
			pubstate_restart_targets(pub, (enum siterole)i);
	}
}

static void split(struct publication *pub, enum siterole role)
{
	const struct siterole_rule *rule = siterole_rule(role);
	const char *path;
	json_t *entry;

	for (enum siterole bin = rule->first_bin; bin < rule->first_bin + rule->bins; bin++)
		pub->roles[bin].now.body = pubstate_new_body(bin);
	json_object_foreach (pub->roles[role].targets, path, entry)
		jsondoc_set(pub->roles[siterole_bin_of_path(role, path)].targets, path,
			    json_incref(entry));
	json_object_clear(pub->roles[role].targets);
	pub->roles[role].split = true;
}

void publication_split(struct publication *pub)
{
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++)
		if (siterole_rule(role)->bins > 0 && !pub->roles[role].split &&
		    pub->roles[role].given.body == NULL &&
		    json_object_size(pub->roles[role].targets) > SITEROLE_SPLIT_ABOVE)
			split(pub, role);
}

bool publication_waits(const struct publication *pub, enum siterole role)
{
	const struct siterole_rule *rule = siterole_rule(role);
	bool waits = pub->roles[role].waits;

	for (enum siterole bin = rule->first_bin; bin < rule->first_bin + rule->bins; bin++)
		waits = waits || pub->roles[bin].waits;
	return waits;
}

/* ---- listing ---- */

static void add_path(struct publication_paths *paths, char *path)
{
	ALLOC_GROW(paths->items, paths->count);
	paths->items[paths->count++] = path;
}

static void list_targets(struct publication_paths *out, const json_t *body)
{
	/* The iterator takes a non-const object but changes nothing. */
	json_t *targets = json_object_get(body, "targets"), *entry;
	const char *path;

	json_object_foreach (targets, path, entry) {
		struct publication_target target;
		char *file;

		if (!read_target(&target, entry))
			continue;
		file = publication_target_file(path, &target.sha256);
		add_path(out, alloc_printf("targets/%s", file));
		free(file);
	}
}

static void list_role(struct publication_paths *out, enum siterole role, int64_t version)
{
	char name[48];

	pubstate_name_file(name, sizeof(name), role, version);
	add_path(out, alloc_printf("metadata/%s", name));
}

typedef const struct edition *(*edition_fn)(const struct publication *pub, enum siterole role);

static const struct edition *published(const struct publication *pub, enum siterole role)
{
	return &pub->roles[role].now;
}

static void list_by(struct publication_paths *out, const struct publication *pub, edition_fn of)
{
	*out = (struct publication_paths){ 0 };
	if (of(pub, SITEROLE_TIMESTAMP)->version == 0)
		return;
	for (size_t i = SITEROLE_TARGETS; i < SITEROLE_SNAPSHOT; i++)
		list_targets(out, of(pub, (enum siterole)i)->body);
	for (enum siterole role = SITEROLE_TARGETS; role <= SITEROLE_SNAPSHOT; role++)
		if (of(pub, role)->version > 0)
			list_role(out, role, of(pub, role)->version);
	for (int64_t v = 1; v <= of(pub, SITEROLE_ROOT)->version; v++)
		list_role(out, SITEROLE_ROOT, v);
	list_role(out, SITEROLE_TIMESTAMP, of(pub, SITEROLE_TIMESTAMP)->version);
}

void publication_list(struct publication_paths *out, const struct publication *pub)
{
	list_by(out, pub, published);
}

void publication_list_built(struct publication_paths *out, const struct publication *pub)
{
	list_by(out, pub, pubstate_newest);
}
