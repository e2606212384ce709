#include "trust/publication.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/jsondoc.h"
#include "trust/keychange.h"
#include "trust/role.h"
#include "trust/verify.h"

#define SPEC_VERSION "1.0.34"
/* One version of a role. */
struct edition {
	json_t *body; /* the "signed" member; NULL: there is none */
	int64_t version;
	int64_t expires_s;
	uint64_t length;
	struct digest sha256;
};

struct publication {
	struct {
		struct edition now;  /* as published; version 0 with a body: founded, never made */
		struct edition next; /* as built */
		json_t *targets; /* path → {"length","hashes"} with the changes; targets roles only
				  */
		int64_t floor;   /* the highest version ever handed out or seen */
		json_t *draft;   /* root: "keys" and "roles"; targets: "delegations"; NULL: as
				    published */
		struct edition given; /* made elsewhere, to be published next */
		struct buf given_bytes;
		bool waits; /* changed, and its keys are elsewhere */
	} roles[SITEROLE_COUNT_];
};

char *publication_target_file(const char *path, const struct digest *sha256)
{
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, sha256);
	return alloc_printf("%.*s%s.%s", folder, path, hex, path + folder);
}

/* ---- life ---- */

static void edition_release(struct edition *e)
{
	json_decref(e->body);
	*e = (struct edition){ 0 };
}

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

void publication_files_release(struct publication_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		buf_release(&files->items[i].bytes);
	files->count = 0;
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

static json_t *new_body(enum siterole role)
{
	json_t *body = json_object();

	jsondoc_set_text(body, "_type", siterole_rule(role)->type);
	jsondoc_set_text(body, "spec_version", SPEC_VERSION);
	if (siterole_lists_targets(role))
		jsondoc_set(body, "targets", json_object());
	else if (role != SITEROLE_ROOT)
		jsondoc_set(body, "meta", json_object());
	return body;
}

static void found_root(json_t *body, const struct key *const *role_keys)
{
	json_t *keys = json_object(), *roles = json_object();

	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		enum siterole role = (enum siterole)i;

		if (!siterole_is_delegated(role))
			jsondoc_set(roles, siterole_rule(role)->name,
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
	jsondoc_set_text(entry, "name", rule->name);
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
	for (size_t role = 0; role < SITEROLE_COUNT_; role++) {
		edition_release(&pub->roles[role].now);
		pub->roles[role].now.body = new_body((enum siterole)role);
	}
	found_root(pub->roles[SITEROLE_ROOT].now.body, role_keys);
	found_delegations(pub->roles[SITEROLE_TARGETS].now.body, role_keys);
}

/* ---- keys of a role ---- */

static struct authority authority_in(const json_t *root, const json_t *targets, enum siterole role)
{
	const char *name = siterole_rule(role)->name;

	return siterole_is_delegated(role) ? authority_by_targets(targets, name)
					   : authority_by_root(root, name);
}

void publication_role_keys(struct publication_keys *out, const struct publication *pub,
			   enum siterole role, const struct authority_signers *signers)
{
	struct authority who = authority_in(pub->roles[SITEROLE_ROOT].now.body,
					    pub->roles[SITEROLE_TARGETS].now.body, role);

	*out = (struct publication_keys){
		.listed = json_array_size(who.keyids),
		.threshold = who.threshold,
		.here = authority_here(&who, signers),
	};
}

/* ---- changes of keys ---- */

/* The role whose file says who signs `role`, and the members of it that do. */
static enum siterole delegator_of(enum siterole role)
{
	return siterole_is_delegated(role) ? SITEROLE_TARGETS : SITEROLE_ROOT;
}

static const char *const draft_members[][2] = {
	[SITEROLE_ROOT] = { "keys", "roles" },
	[SITEROLE_TARGETS] = { "delegations" },
};

static void copy_members(json_t *to, const json_t *from, enum siterole role)
{
	for (size_t i = 0; i < 2 && draft_members[role][i] != NULL; i++) {
		json_t *value = json_object_get(from, draft_members[role][i]);

		if (value != NULL)
			jsondoc_set(to, draft_members[role][i], json_deep_copy(value));
	}
}

json_t *publication_signers(struct publication *pub, enum siterole role)
{
	enum siterole delegator = delegator_of(role);
	json_t **draft = &pub->roles[delegator].draft;

	if (*draft == NULL) {
		*draft = json_object();
		copy_members(*draft, pub->roles[delegator].now.body, delegator);
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
		jsondoc_set(changes, siterole_rule(role)->name,
			    json_deep_copy(pub->roles[role].draft));
	}
	return changes;
}

/* True if the draft says what is published: a kill came between publishing it and forgetting it. */
static bool is_published(const struct publication *pub, enum siterole role, const json_t *draft)
{
	for (size_t i = 0; i < 2 && draft_members[role][i] != NULL; i++)
		if (!json_equal(json_object_get(draft, draft_members[role][i]),
				json_object_get(pub->roles[role].now.body, draft_members[role][i])))
			return false;
	return true;
}

void publication_set_keychanges(struct publication *pub, const json_t *changes)
{
	for (enum siterole role = SITEROLE_ROOT; role <= SITEROLE_TARGETS; role++) {
		json_t *draft = json_object_get(changes, siterole_rule(role)->name);

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

	snprintf(name, sizeof(name), "%s.json", siterole_rule(role)->name);
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
	struct authority who = authority_by_root(root, siterole_rule(role)->name);

	return role == SITEROLE_ROOT || role == SITEROLE_TIMESTAMP
		       ? authority_check(&who, doc, err)
		       : is_as_listed(pub, role, e, err);
}

static bool read_edition(struct edition *e, enum siterole role, const json_t *doc,
			 struct span bytes, struct err *err)
{
	const char *type, *expires;
	json_t *body;

	if (!jsondoc_need_object(&body, doc, "signed", err) ||
	    !jsondoc_need_text(&type, body, "_type", err) ||
	    !jsondoc_need_text(&expires, body, "expires", err) ||
	    !jsondoc_need_int(&e->version, body, "version", 1, JSONDOC_INT_MAX, err))
		return false;
	if (strcmp(type, siterole_rule(role)->type) != 0 || !clock_parse(&e->expires_s, expires))
		return err_set(err, ERR_FORMAT, "type \"%s\" or time \"%s\" is wrong", type,
			       expires);
	e->body = json_incref(body);
	e->length = bytes.size;
	digest_of(&e->sha256, bytes);
	return true;
}

static void use_edition(struct publication *pub, enum siterole role, struct edition *e)
{
	edition_release(&pub->roles[role].now);
	pub->roles[role].now = *e;
	*e = (struct edition){ 0 };
	publication_saw_version(pub, role, pub->roles[role].now.version);
}

static void restart_targets(struct publication *pub, enum siterole role)
{
	json_t *published = json_object_get(pub->roles[role].now.body, "targets");

	json_decref(pub->roles[role].targets);
	pub->roles[role].targets = published != NULL ? json_copy(published) : json_object();
}

bool publication_load(struct publication *pub, enum siterole role, struct span bytes,
		      struct err *err)
{
	json_auto_t *doc = NULL;
	struct edition e = { 0 };
	bool done = bytes.size <= siterole_rule(role)->bytes_max ||
		    err_set(err, ERR_LIMIT, "%zu bytes, at most %zu are read", bytes.size,
			    siterole_rule(role)->bytes_max);

	done = done && jsondoc_read(&doc, bytes, err) && read_edition(&e, role, doc, bytes, err) &&
	       check_edition(pub, role, &e, doc, err);
	if (!done) {
		edition_release(&e);
		return err_what(err, "cannot read back the published role \"%s\"",
				siterole_rule(role)->name);
	}
	use_edition(pub, role, &e);
	if (siterole_lists_targets(role))
		restart_targets(pub, role);
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
	return pub->roles[role].now.expires_s;
}

/* ---- targets ---- */

static json_t *new_file_entry(uint64_t length, const struct digest *sha256)
{
	json_t *entry = json_object(), *hashes = json_object();
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, sha256);
	jsondoc_set_text(hashes, "sha256", hex);
	jsondoc_set(entry, "hashes", hashes);
	jsondoc_set_int(entry, "length", (int64_t)length);
	return entry;
}

static bool need_role_of(enum siterole *out, const char *path, struct err *err)
{
	return siterole_of_path(out, path) ||
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

	return siterole_of_path(&role, path) &&
	       read_target(out, json_object_get(pub->roles[role].targets, path));
}

bool publication_set_target(struct publication *pub, const char *path,
			    const struct publication_target *target, struct err *err)
{
	enum siterole role;

	if (!need_role_of(&role, path, err))
		return false;
	jsondoc_set(pub->roles[role].targets, path,
		    new_file_entry(target->length, &target->sha256));
	return true;
}

bool publication_remove_target(struct publication *pub, const char *path, struct err *err)
{
	enum siterole role;

	if (!need_role_of(&role, path, err))
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
			restart_targets(pub, (enum siterole)i);
	}
}

/* ---- building ---- */

/* What one build works with. */
struct build {
	struct publication *pub;
	struct publication_files *files;
	const struct authority_signers *signers;
	int64_t now_s;
};

static const struct edition *newest(const struct publication *pub, enum siterole role)
{
	return pub->roles[role].next.body != NULL ? &pub->roles[role].next : &pub->roles[role].now;
}

/* Others sign the role from now on than those who signed what is published. */
static bool signers_changed(const struct publication *pub, enum siterole role)
{
	struct authority before = authority_in(pub->roles[SITEROLE_ROOT].now.body,
					       pub->roles[SITEROLE_TARGETS].now.body, role);
	struct authority after = authority_in(newest(pub, SITEROLE_ROOT)->body,
					      newest(pub, SITEROLE_TARGETS)->body, role);

	return role != SITEROLE_ROOT && !authority_equal(&before, &after);
}

static bool changed(const struct publication *pub, enum siterole role)
{
	const json_t *body = pub->roles[role].now.body;

	if (pub->roles[role].now.version == 0 || pub->roles[role].draft != NULL ||
	    signers_changed(pub, role))
		return true;
	if (role == SITEROLE_TIMESTAMP)
		return pub->roles[SITEROLE_SNAPSHOT].next.body != NULL;
	if (role == SITEROLE_SNAPSHOT) {
		for (size_t i = SITEROLE_TARGETS; i < SITEROLE_SNAPSHOT; i++)
			if (pub->roles[i].next.body != NULL)
				return true;
		return false;
	}
	return siterole_lists_targets(role) &&
	       !json_equal(json_object_get(body, "targets"), pub->roles[role].targets);
}

bool publication_has_changes(const struct publication *pub)
{
	for (size_t i = 0; i < SITEROLE_SNAPSHOT; i++)
		if (changed(pub, (enum siterole)i))
			return true;
	return false;
}

static bool grows_old(const struct build *b, enum siterole role)
{
	return b->pub->roles[role].now.expires_s - b->now_s < siterole_rule(role)->renew_below_s;
}

static void set_meta(json_t *meta, const struct publication *pub, enum siterole role)
{
	const struct edition *e = newest(pub, role);
	json_t *entry = new_file_entry(e->length, &e->sha256);
	char name[32];

	snprintf(name, sizeof(name), "%s.json", siterole_rule(role)->name);
	jsondoc_set_int(entry, "version", e->version);
	jsondoc_set(meta, name, entry);
}

static json_t *new_meta(const struct publication *pub, enum siterole role)
{
	json_t *meta = json_object();

	if (role == SITEROLE_TIMESTAMP)
		set_meta(meta, pub, SITEROLE_SNAPSHOT);
	else
		for (size_t i = SITEROLE_TARGETS; i < SITEROLE_SNAPSHOT; i++)
			set_meta(meta, pub, (enum siterole)i);
	return meta;
}

/* The body of the next version: the present one with what changes; `next->version` is used up. */
static void compose(const struct build *b, enum siterole role)
{
	struct edition *next = &b->pub->roles[role].next;

	next->version = ++b->pub->roles[role].floor;
	next->expires_s = b->now_s + siterole_rule(role)->life_s;
	next->body = json_copy(b->pub->roles[role].now.body);
	jsondoc_set_int(next->body, "version", next->version);
	jsondoc_set_time(next->body, "expires", next->expires_s);
	if (role <= SITEROLE_TARGETS && b->pub->roles[role].draft != NULL)
		copy_members(next->body, b->pub->roles[role].draft, role);
	if (siterole_lists_targets(role))
		jsondoc_set(next->body, "targets", json_copy(b->pub->roles[role].targets));
	else if (role != SITEROLE_ROOT)
		jsondoc_set(next->body, "meta", new_meta(b->pub, role));
}

static void name_file(char *dst, size_t size, enum siterole role, int64_t version)
{
	if (role == SITEROLE_TIMESTAMP)
		snprintf(dst, size, "timestamp.json");
	else
		snprintf(dst, size, "%" PRId64 ".%s.json", version, siterole_rule(role)->name);
}

static void add_keys(json_t *to, struct authority who)
{
	size_t i;
	json_t *keyid;

	json_array_foreach (who.keyids, i, keyid)
		jsondoc_set(to, json_string_value(keyid),
			    json_incref(json_object_get(who.keys, json_string_value(keyid))));
}

/* A root is signed by the keys before it as well. */
static json_t *sign(const struct build *b, enum siterole role, const struct authority *who,
		    struct span text)
{
	json_t *signatures = authority_sign(who, b->signers, text);
	json_auto_t *before = json_object();

	if (role == SITEROLE_ROOT)
		add_keys(before, authority_by_root(b->pub->roles[role].now.body, "root"));
	authority_countersign(signatures, before, b->signers, text);
	return signatures;
}

static bool seal_edition(const struct build *b, enum siterole role, const struct authority *who,
			 struct err *err)
{
	struct publication_file *file = &b->files->items[b->files->count];
	struct edition *next = &b->pub->roles[role].next;
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();

	*file = (struct publication_file){ 0 };
	b->files->count++;
	if (!jsondoc_canonical(&text, next->body, err))
		return false;
	jsondoc_set(doc, "signatures", sign(b, role, who, buf_span(&text)));
	jsondoc_set(doc, "signed", json_incref(next->body));
	jsondoc_write(&file->bytes, doc);
	if (file->bytes.size > siterole_rule(role)->bytes_max)
		return err_set(err, ERR_LIMIT,
			       "role \"%s\" has %zu bytes, clients read at most %zu",
			       siterole_rule(role)->name, file->bytes.size,
			       siterole_rule(role)->bytes_max);
	name_file(file->name, sizeof(file->name), role, next->version);
	next->length = file->bytes.size;
	digest_of(&next->sha256, buf_span(&file->bytes));
	return true;
}

static bool is_enough(const struct build *b, struct authority who)
{
	return who.threshold > 0 && authority_here(&who, b->signers) >= who.threshold;
}

/* Who has to sign the next version of a role; of root, as its draft says. */
static struct authority next_authority(const struct build *b, enum siterole role)
{
	const struct publication *pub = b->pub;

	if (role == SITEROLE_ROOT && pub->roles[role].draft != NULL)
		return authority_by_root(pub->roles[role].draft, siterole_rule(role)->name);
	return authority_in(newest(pub, SITEROLE_ROOT)->body, newest(pub, SITEROLE_TARGETS)->body,
			    role);
}

static bool can_sign(const struct build *b, enum siterole role)
{
	struct authority before = authority_by_root(b->pub->roles[SITEROLE_ROOT].now.body, "root");

	return is_enough(b, next_authority(b, role)) &&
	       (role != SITEROLE_ROOT || is_enough(b, before));
}

static bool is_due(const struct build *b, enum siterole role)
{
	return changed(b->pub, role) || grows_old(b, role);
}

/* Nothing reaches clients without these two; the others wait for whoever has their keys. */
static bool put_off(const struct build *b, enum siterole role, struct err *err)
{
	b->pub->roles[role].waits = changed(b->pub, role);
	if (role < SITEROLE_SNAPSHOT || !b->pub->roles[role].waits)
		return true; /* `keys` and `status` tell; nothing is wrong yet */
	err_set(err, ERR_REFUSED, "role \"%s\" changed and its keys are not all here",
		siterole_rule(role)->name);
	return err_fix(err, "bring the role's keys to the site's keys folder");
}

/* What was made elsewhere goes out as it came. */
static void use_given(const struct build *b, enum siterole role)
{
	struct publication_file *file = &b->files->items[b->files->count++];
	struct edition *given = &b->pub->roles[role].given;

	*file = (struct publication_file){ 0 };
	buf_put(&file->bytes, b->pub->roles[role].given_bytes.data,
		b->pub->roles[role].given_bytes.size);
	name_file(file->name, sizeof(file->name), role, given->version);
	b->pub->roles[role].next = *given;
	b->pub->roles[role].next.body = json_incref(given->body);
}

static bool build_role(const struct build *b, enum siterole role, struct err *err)
{
	struct authority who;

	b->pub->roles[role].waits = false;
	if (b->pub->roles[role].given.body != NULL) {
		use_given(b, role);
		return true;
	}
	if (!is_due(b, role))
		return true;
	if (!can_sign(b, role))
		return put_off(b, role, err);
	who = next_authority(b, role);
	compose(b, role);
	return seal_edition(b, role, &who, err);
}

bool publication_build(struct publication_files *out, struct publication *pub,
		       const struct authority_signers *signers, int64_t now_s, struct err *err)
{
	struct build b = { .pub = pub, .files = out, .signers = signers, .now_s = now_s };

	publication_files_release(out);
	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		edition_release(&pub->roles[i].next);
	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		if (!build_role(&b, (enum siterole)i, err))
			return false;
	return true;
}

bool publication_waits(const struct publication *pub, enum siterole role)
{
	return pub->roles[role].waits;
}

void publication_accept(struct publication *pub)
{
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		bool is_given = pub->roles[i].given.body != NULL;

		if (pub->roles[i].next.body == NULL)
			continue;
		use_edition(pub, (enum siterole)i, &pub->roles[i].next);
		edition_release(&pub->roles[i].given);
		json_decref(pub->roles[i].draft);
		pub->roles[i].draft = NULL;
		if (is_given && siterole_lists_targets((enum siterole)i))
			restart_targets(pub, (enum siterole)i);
	}
}

/* ---- signing elsewhere ---- */

static json_t *new_wish(const struct build *b, enum siterole role)
{
	json_t *wish = json_object(), *keys = json_object();

	add_keys(keys, next_authority(b, role));
	if (role == SITEROLE_ROOT)
		add_keys(keys, authority_by_root(b->pub->roles[role].now.body, "root"));
	compose(b, role);
	jsondoc_set_text(wish, "role", siterole_rule(role)->name);
	jsondoc_set(wish, "keys", keys);
	jsondoc_set(wish, "signed", json_incref(b->pub->roles[role].next.body));
	jsondoc_set(wish, "signatures", json_array());
	return wish;
}

bool publication_request(json_t **out, struct publication *pub,
			 const struct authority_signers *signers, int64_t now_s, struct err *err)
{
	SCOPED(publication_files) struct publication_files files = { .count = 0 };
	const struct build b = { .pub = pub, .files = &files, .signers = signers, .now_s = now_s };

	if (!publication_build(&files, pub, signers, now_s, err))
		return false;
	*out = json_array();
	for (enum siterole role = SITEROLE_ROOT; role < SITEROLE_SNAPSHOT; role++)
		if (pub->roles[role].next.body == NULL && is_due(&b, role) && !can_sign(&b, role))
			json_array_append_new(*out, new_wish(&b, role));
	return true;
}

static const struct edition *coming(const struct publication *pub, enum siterole role)
{
	return pub->roles[role].given.body != NULL ? &pub->roles[role].given
						   : &pub->roles[role].now;
}

static bool check_given(const struct publication *pub, enum siterole role, const struct edition *e,
			const json_t *doc, struct err *err)
{
	struct authority old = authority_by_root(pub->roles[SITEROLE_ROOT].now.body, "root");
	struct authority who = role == SITEROLE_ROOT
				       ? authority_by_root(e->body, "root")
				       : authority_in(coming(pub, SITEROLE_ROOT)->body,
						      coming(pub, SITEROLE_TARGETS)->body, role);

	if (e->version <= pub->roles[role].now.version ||
	    (role == SITEROLE_ROOT && e->version != pub->roles[role].now.version + 1))
		return err_set(err, ERR_REFUSED,
			       "it has version %" PRId64 ", published is %" PRId64, e->version,
			       pub->roles[role].now.version);
	return authority_check(&who, doc, err) &&
	       (role != SITEROLE_ROOT || authority_check(&old, doc, err));
}

/* In the form that clients take, and a root signed by as many of its own keys as they count. */
static bool check_form(enum siterole role, struct span bytes, struct err *err)
{
	enum role_kind kind = role == SITEROLE_ROOT ? ROLE_ROOT : ROLE_TARGETS;
	SCOPED(role) struct role *parsed = NULL;

	if (role_parse(&parsed, kind, bytes, err) != VERDICT_OK)
		return false;
	return kind != ROLE_ROOT ||
	       verify_threshold(parsed, &parsed->top[ROLE_ROOT], "root", err) == VERDICT_OK;
}

bool publication_give(struct publication *pub, enum siterole role, struct span bytes,
		      struct err *err)
{
	json_auto_t *doc = NULL;
	struct edition e = { 0 };

	assert(role < SITEROLE_SNAPSHOT);
	if (bytes.size > siterole_rule(role)->bytes_max)
		return err_set(
			err, ERR_LIMIT, "role \"%s\" has %zu bytes, clients read at most %zu",
			siterole_rule(role)->name, bytes.size, siterole_rule(role)->bytes_max);
	if (!check_form(role, bytes, err) || !jsondoc_read(&doc, bytes, err) ||
	    !read_edition(&e, role, doc, bytes, err) || !check_given(pub, role, &e, doc, err)) {
		edition_release(&e);
		return err_what(err, "cannot take the signed role \"%s\"",
				siterole_rule(role)->name);
	}
	edition_release(&pub->roles[role].given);
	pub->roles[role].given = e;
	buf_clear(&pub->roles[role].given_bytes);
	buf_put(&pub->roles[role].given_bytes, bytes.data, bytes.size);
	return true;
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

	name_file(name, sizeof(name), role, version);
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
	for (size_t i = SITEROLE_TARGETS; i <= SITEROLE_SNAPSHOT; i++)
		list_role(out, (enum siterole)i, of(pub, (enum siterole)i)->version);
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
	list_by(out, pub, newest);
}
