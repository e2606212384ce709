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
	bool elsewhere; /* what is due will be asked of somebody: what is due soon is asked as well
			 */
};

/* Others sign the role from now on than those who signed what is published. */
static bool signers_changed(const struct publication *pub, enum siterole role)
{
	struct authority before = pubstate_authority_now(pub, role);
	struct authority after = pubstate_authority(
		pubstate_newest(pub, siterole_delegator(role))->body, role);

	return role != SITEROLE_ROOT && !authority_equal(&before, &after);
}

static bool changed(const struct publication *pub, enum siterole role)
{
	const json_t *body = pub->roles[role].now.body;

	if (body == NULL) /* a bin of a role that is whole */
		return false;
	if (pub->roles[role].now.version == 0 || pub->roles[role].draft != NULL ||
	    signers_changed(pub, role) ||
	    (pub->roles[role].split && publication_bins(pub, role) == 0))
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
	const struct edition *now = &b->pub->roles[role].now;
	int64_t below = b->elsewhere ? siterole_renew_early(role) : siterole_renew_below(role);

	return now->body != NULL && now->expires_s - b->now_s < below;
}

static void set_meta(json_t *meta, const struct publication *pub, enum siterole role)
{
	const struct edition *e = pubstate_newest(pub, role);
	json_t *entry = edition_new_listing(e->length, &e->sha256);
	char name[32];

	snprintf(name, sizeof(name), "%s.json", siterole_name(role).text);
	jsondoc_set_int(entry, "version", e->version);
	jsondoc_set(meta, name, entry);
}

static json_t *new_meta(const struct publication *pub, enum siterole role)
{
	json_t *meta = json_object();

	if (role == SITEROLE_TIMESTAMP)
		set_meta(meta, pub, SITEROLE_SNAPSHOT);
	else
		for (enum siterole listed = SITEROLE_TARGETS; listed < SITEROLE_SNAPSHOT; listed++)
			if (pubstate_exists(pub, listed))
				set_meta(meta, pub, listed);
	return meta;
}

/* Who has to sign the next version of a role; of root, as its draft says. */
static struct authority next_authority(const struct build *b, enum siterole role)
{
	const struct publication *pub = b->pub;
	const json_t *draft = pub->roles[SITEROLE_ROOT].draft;

	if (role == SITEROLE_ROOT && draft != NULL)
		return pubstate_authority(draft, role);
	return pubstate_authority(pubstate_newest(pub, siterole_delegator(role))->body, role);
}

static void add_keys(json_t *to, struct authority who)
{
	size_t i;
	json_t *keyid;

	json_array_foreach (who.keyids, i, keyid)
		jsondoc_set(to, json_string_value(keyid),
			    json_incref(json_object_get(who.keys, json_string_value(keyid))));
}

static json_t *new_bin(enum siterole bin, const struct authority *who)
{
	json_t *entry = json_object(), *prefixes = json_array();
	char prefix[3];

	for (unsigned int i = 0; siterole_bin_prefix(prefix, bin, i); i++)
		json_array_append_new(prefixes, json_string(prefix));
	jsondoc_set(entry, "keyids", json_deep_copy(who->keyids));
	jsondoc_set_text(entry, "name", siterole_name(bin).text);
	jsondoc_set(entry, "path_hash_prefixes", prefixes);
	jsondoc_set_flag(entry, "terminating", true);
	jsondoc_set_int(entry, "threshold", (int64_t)who->threshold);
	return entry;
}

/* Bins are signed by the keys that sign their role. */
static json_t *new_bins(enum siterole role, struct authority who)
{
	const struct siterole_rule *rule = siterole_rule(role);
	json_t *delegations = json_object(), *keys = json_object(), *roles = json_array();

	add_keys(keys, who);
	for (enum siterole bin = rule->first_bin; bin < rule->first_bin + rule->bins; bin++)
		json_array_append_new(roles, new_bin(bin, &who));
	jsondoc_set(delegations, "keys", keys);
	jsondoc_set(delegations, "roles", roles);
	return delegations;
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
	if (b->pub->roles[role].split)
		jsondoc_set(next->body, "delegations", new_bins(role, next_authority(b, role)));
	if (siterole_lists_targets(role))
		jsondoc_set(next->body, "targets", json_copy(b->pub->roles[role].targets));
	else if (role != SITEROLE_ROOT)
		jsondoc_set(next->body, "meta", new_meta(b->pub, role));
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
		return err_set(
			err, ERR_LIMIT, "role \"%s\" has %zu bytes, clients read at most %zu",
			siterole_name(role).text, file->bytes.size, siterole_rule(role)->bytes_max);
	pubstate_name_file(file->name, sizeof(file->name), role, next->version);
	next->length = file->bytes.size;
	digest_of(&next->sha256, buf_span(&file->bytes));
	return true;
}

static bool is_enough(const struct build *b, struct authority who)
{
	return who.threshold > 0 && authority_here(&who, b->signers) >= who.threshold;
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

/* What will say who signs others: made elsewhere, drafted, or published. */
static const json_t *coming_body(const struct publication *pub, enum siterole delegator)
{
	if (pub->roles[delegator].given.body != NULL)
		return pub->roles[delegator].given.body;
	return pub->roles[delegator].draft != NULL ? pub->roles[delegator].draft
						   : pub->roles[delegator].now.body;
}

/* True if nobody else has to sign `role` from then on, or those who do can, or have. */
static bool is_followed_by(const struct build *b, const json_t *body, enum siterole role)
{
	struct authority before = pubstate_authority_now(b->pub, role);
	struct authority after = pubstate_authority(body, role);

	return authority_equal(&before, &after) || b->pub->roles[role].given.body != NULL ||
	       is_enough(b, after);
}

/* A file that names new keys must not come before what these have signed: clients would be stuck.
 */
static bool is_ready(const struct build *b, enum siterole delegator)
{
	const json_t *body = coming_body(b->pub, delegator);

	for (enum siterole role = SITEROLE_TARGETS; role < SITEROLE_COUNT_; role++)
		if (siterole_delegator(role) == delegator && !is_followed_by(b, body, role))
			return false;
	return true;
}

/* The keys are here, and so is all that has to come with it. */
static bool can_issue(const struct build *b, enum siterole role)
{
	return can_sign(b, role) && (b->pub->roles[role].draft == NULL || is_ready(b, role));
}

/* Nothing reaches clients without these two; the others wait for whoever has their keys. */
static bool put_off(const struct build *b, enum siterole role, struct err *err)
{
	b->pub->roles[role].waits = changed(b->pub, role);
	if (role < SITEROLE_SNAPSHOT || !b->pub->roles[role].waits)
		return true; /* `keys` and `status` tell; nothing is wrong yet */
	err_set(err, ERR_REFUSED, "role \"%s\" changed and its keys are not all here",
		siterole_name(role).text);
	return err_fix(err, "bring the role's keys to the site's keys folder");
}

/* What was made elsewhere goes out as it came. */
static bool use_given(const struct build *b, enum siterole role, struct err *err)
{
	struct issuance_file *file;
	struct edition *given = &b->pub->roles[role].given;

	if (!is_ready(b, role))
		return err_set(err, ERR_REFUSED,
			       "role \"%s\" came without roles that it names keys for",
			       siterole_name(role).text);
	file = &b->files->items[b->files->count++];
	*file = (struct issuance_file){ 0 };
	buf_put(&file->bytes, b->pub->roles[role].given_bytes.data,
		b->pub->roles[role].given_bytes.size);
	pubstate_name_file(file->name, sizeof(file->name), role, given->version);
	b->pub->roles[role].next = *given;
	b->pub->roles[role].next.body = json_incref(given->body);
	return true;
}

static bool build_role(const struct build *b, enum siterole role, struct err *err)
{
	struct authority who;

	b->pub->roles[role].waits = false;
	if (b->pub->roles[role].given.body != NULL)
		return use_given(b, role, err);
	if (!is_due(b, role))
		return true;
	if (!can_issue(b, role))
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
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++)
		edition_release(&pub->roles[role].next);
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++)
		if (!build_role(&b, role, err))
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

/* What the keys that are here can sign of it is signed already. */
static bool new_wish(json_t **out, const struct build *b, enum siterole role, struct err *err)
{
	json_t *wish = *out = json_object(), *keys = json_object(), *signatures = json_array();
	SCOPED(buf) struct buf text = { 0 };

	add_keys(keys, next_authority(b, role));
	if (role == SITEROLE_ROOT)
		add_keys(keys, pubstate_authority_now(b->pub, role));
	compose(b, role);
	jsondoc_set_text(wish, "role", siterole_name(role).text);
	jsondoc_set(wish, "keys", keys);
	jsondoc_set(wish, "signed", json_incref(b->pub->roles[role].next.body));
	jsondoc_set(wish, "signatures", signatures);
	if (!jsondoc_canonical(&text, b->pub->roles[role].next.body, err))
		return false;
	authority_countersign(signatures, keys, b->signers, buf_span(&text));
	return true;
}

/* Ask for one role. What only waits for others is made up, for these to see who signs them. */
static bool ask(json_t *wishes, const struct build *b, enum siterole role, struct err *err)
{
	json_t *wish = NULL;
	bool done;

	if (b->pub->roles[role].next.body != NULL || !is_due(b, role) || can_issue(b, role))
		return true;
	if (can_sign(b, role)) {
		compose(b, role);
		return true;
	}
	done = new_wish(&wish, b, role, err);
	json_array_append_new(wishes, wish);
	return done;
}

bool issuance_request(json_t **out, struct publication *pub,
		      const struct authority_signers *signers, int64_t now_s, struct err *err)
{
	SCOPED(issuance_files) struct issuance_files files = { .count = 0 };
	json_auto_t *wishes = json_array();
	const struct build b = {
		.pub = pub, .files = &files, .signers = signers, .now_s = now_s, .elsewhere = true
	};

	if (!issuance_build(&files, pub, signers, now_s, err))
		return false;
	for (enum siterole role = SITEROLE_ROOT; role < SITEROLE_SNAPSHOT; role++)
		if (!ask(wishes, &b, role, err))
			return false;
	*out = json_incref(wishes);
	return true;
}

static bool check_given(const struct publication *pub, enum siterole role, const struct edition *e,
			const json_t *doc, struct err *err)
{
	struct authority old = pubstate_authority_now(pub, role);
	struct authority who = pubstate_authority(
		role == SITEROLE_ROOT ? e->body : coming_body(pub, siterole_delegator(role)), role);

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

static bool give(struct publication *pub, enum siterole role, struct span bytes, struct err *err)
{
	json_auto_t *doc = NULL;
	struct edition e = { 0 };

	assert(role < SITEROLE_SNAPSHOT);
	if (bytes.size > siterole_rule(role)->bytes_max)
		return err_set(
			err, ERR_LIMIT, "role \"%s\" has %zu bytes, clients read at most %zu",
			siterole_name(role).text, bytes.size, siterole_rule(role)->bytes_max);
	if (!check_form(role, bytes, err) || !jsondoc_read(&doc, bytes, err) ||
	    !edition_read(&e, siterole_rule(role)->type, doc, bytes, err) ||
	    !check_given(pub, role, &e, doc, err)) {
		edition_release(&e);
		return err_what(err, "cannot take the signed role \"%s\"",
				siterole_name(role).text);
	}
	edition_release(&pub->roles[role].given);
	pub->roles[role].given = e;
	buf_clear(&pub->roles[role].given_bytes);
	buf_put(&pub->roles[role].given_bytes, bytes.data, bytes.size);
	return true;
}

bool issuance_give(struct publication *pub, const json_t *wish, struct err *err)
{
	const char *name = jsondoc_text(wish, "role");
	json_auto_t *doc = json_object();
	SCOPED(buf) struct buf bytes = { 0 };
	json_t *signatures, *body;
	enum siterole role;

	if (name == NULL || !siterole_named(&role, name) || role >= SITEROLE_SNAPSHOT)
		return err_set(err, ERR_FORMAT, "the request has a role that is none");
	if (!jsondoc_need_array(&signatures, wish, "signatures", SITEROLE_KEYS_MAX * 2, err) ||
	    !jsondoc_need_object(&body, wish, "signed", err))
		return false;
	jsondoc_set(doc, "signatures", json_incref(signatures));
	jsondoc_set(doc, "signed", json_incref(body));
	jsondoc_write(&bytes, doc);
	return give(pub, role, buf_span(&bytes), err);
}
