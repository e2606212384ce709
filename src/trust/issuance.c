#include "trust/issuance.h"

#include <inttypes.h>
#include <string.h>

#include "common/jsondoc.h"
#include "trust/pubstate.h"
#include "trust/role.h"
#include "trust/verify.h"

void issuance_files_release(struct issuance_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		buf_release(&files->items[i].bytes);
	files->count = 0;
}

/* ---- building ---- */

/* What one build works with. */
struct build {
	struct publication *pub;
	struct issuance_files *files;
	const struct authority_signers *signers;
	int64_t now_s;
};

/* Others sign the role from now on than those who signed what is published. */
static bool signers_changed(const struct publication *pub, enum siterole role)
{
	struct authority before = pubstate_authority(pub->roles[SITEROLE_ROOT].now.body,
						     pub->roles[SITEROLE_TARGETS].now.body, role);
	struct authority after = pubstate_authority(pubstate_newest(pub, SITEROLE_ROOT)->body,
						    pubstate_newest(pub, SITEROLE_TARGETS)->body,
						    role);

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

bool issuance_has_changes(const struct publication *pub)
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
	const struct edition *e = pubstate_newest(pub, role);
	json_t *entry = edition_new_listing(e->length, &e->sha256);
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
		pubstate_copy_signers(next->body, b->pub->roles[role].draft, role);
	if (siterole_lists_targets(role))
		jsondoc_set(next->body, "targets", json_copy(b->pub->roles[role].targets));
	else if (role != SITEROLE_ROOT)
		jsondoc_set(next->body, "meta", new_meta(b->pub, role));
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
	struct issuance_file *file = &b->files->items[b->files->count];
	struct edition *next = &b->pub->roles[role].next;
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();

	*file = (struct issuance_file){ 0 };
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
	pubstate_name_file(file->name, sizeof(file->name), role, next->version);
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
	return pubstate_authority(pubstate_newest(pub, SITEROLE_ROOT)->body,
				  pubstate_newest(pub, SITEROLE_TARGETS)->body, role);
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
	struct issuance_file *file = &b->files->items[b->files->count++];
	struct edition *given = &b->pub->roles[role].given;

	*file = (struct issuance_file){ 0 };
	buf_put(&file->bytes, b->pub->roles[role].given_bytes.data,
		b->pub->roles[role].given_bytes.size);
	pubstate_name_file(file->name, sizeof(file->name), role, given->version);
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

bool issuance_build(struct issuance_files *out, struct publication *pub,
		    const struct authority_signers *signers, int64_t now_s, struct err *err)
{
	struct build b = { .pub = pub, .files = out, .signers = signers, .now_s = now_s };

	issuance_files_release(out);
	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		edition_release(&pub->roles[i].next);
	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		if (!build_role(&b, (enum siterole)i, err))
			return false;
	return true;
}

void issuance_accept(struct publication *pub)
{
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		bool is_given = pub->roles[i].given.body != NULL;

		if (pub->roles[i].next.body == NULL)
			continue;
		pubstate_use(pub, (enum siterole)i, &pub->roles[i].next);
		edition_release(&pub->roles[i].given);
		json_decref(pub->roles[i].draft);
		pub->roles[i].draft = NULL;
		if (is_given && siterole_lists_targets((enum siterole)i))
			pubstate_restart_targets(pub, (enum siterole)i);
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

bool issuance_request(json_t **out, struct publication *pub,
		      const struct authority_signers *signers, int64_t now_s, struct err *err)
{
	SCOPED(issuance_files) struct issuance_files files = { .count = 0 };
	const struct build b = { .pub = pub, .files = &files, .signers = signers, .now_s = now_s };

	if (!issuance_build(&files, pub, signers, now_s, err))
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
				       : pubstate_authority(coming(pub, SITEROLE_ROOT)->body,
							    coming(pub, SITEROLE_TARGETS)->body,
							    role);

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

bool issuance_give(struct publication *pub, enum siterole role, struct span bytes, struct err *err)
{
	json_auto_t *doc = NULL;
	struct edition e = { 0 };

	assert(role < SITEROLE_SNAPSHOT);
	if (bytes.size > siterole_rule(role)->bytes_max)
		return err_set(
			err, ERR_LIMIT, "role \"%s\" has %zu bytes, clients read at most %zu",
			siterole_rule(role)->name, bytes.size, siterole_rule(role)->bytes_max);
	if (!check_form(role, bytes, err) || !jsondoc_read(&doc, bytes, err) ||
	    !edition_read(&e, siterole_rule(role)->type, doc, bytes, err) ||
	    !check_given(pub, role, &e, doc, err)) {
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
