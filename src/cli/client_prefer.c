/*
 * packway prefer, and prefserv and import-nal, which came from SMS: preferred servers, and the
 * policy that this client insists on.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/choices.h"
#include "cli/client.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/text.h"
#include "nal/nalimport.h"
#include "nal/preference.h"

/* What somebody typed is no file that was damaged. Returns false always. */
static bool typed_wrong(struct err *err)
{
	if (err->code == ERR_FORMAT)
		err->code = ERR_USAGE;
	return false;
}

static void print_preference(struct print *p, const struct preference *pref)
{
	json_auto_t *result = json_object();
	json_t *list;

	for (size_t kind = 0; kind < KIND_COUNT_; kind++) {
		list = json_array();
		for (size_t i = 0; i < pref->lists[kind].count; i++)
			json_array_append_new(list,
					      jsondoc_new_text(pref->lists[kind].entries[i].text));
		jsondoc_set(result, kind_name((enum kind)kind), list);
	}
	jsondoc_set_text(result, "policy", pref->policy);
	print_fields(p,
		     (const struct print_column[]){ { "cap", PRINT_TEXT, "preferred CAPs" },
						    { "dp", PRINT_TEXT, "preferred DPs" },
						    { "policy", PRINT_TEXT, NULL },
						    { NULL } },
		     result);
}

/* Which lists a command means: the one that it names, else both. */
static bool means(const struct options *o, enum kind kind)
{
	bool cap = options_flag(o, "cap"), dp = options_flag(o, "dp");

	return kind == KIND_CAP ? cap || !dp : dp || !cap;
}

static bool change(struct preference *pref, const struct options *o, struct err *err)
{
	for (size_t kind = 0; kind < KIND_COUNT_; kind++) {
		if (!means(o, (enum kind)kind))
			continue;
		if (options_flag(o, "clear"))
			preference_clear(pref, (enum kind)kind);
		for (size_t i = 0; i < options_argument_count(o); i++)
			if (!preference_add(pref, (enum kind)kind, options_argument(o, i), err))
				return typed_wrong(err);
	}
	if (options_flag(o, "clear") && !options_given(o, "policy") &&
	    !preference_set_policy(pref, NULL, err))
		return false;
	return !options_given(o, "policy") ||
	       preference_set_policy(pref, options_text(o, "policy"), err);
}

/* False if no system of that kind could be used, now or later, by the preferences as stored. */
static bool leaves_somebody(struct client *c, enum kind kind, struct err *err)
{
	json_auto_t *request = client_request("locate");
	json_auto_t *decision = NULL;
	const char *reason;

	jsondoc_set_text(request, "kind", kind_name(kind));
	if (!client_ask(&decision, c, json_incref(request), err))
		return false;
	reason = jsondoc_text(json_object_get(decision, "waits"), "reason");
	if (!json_is_null(json_object_get(decision, "chosen")) ||
	    (reason != NULL && strcmp(reason, "change") != 0))
		return true;
	err_set(err, ERR_REFUSED, "this client would be left without a %s: %s", kind_name(kind),
		jsondoc_text(decision, "because"));
	return err_fix(err, "prefer servers that this client can use first: packway prefer NAME");
}

/* Q235873: the other methods were switched off too early, and clients were cut off from every CAP.
 */
static bool keeps_contact(struct client *c, const struct preference *pref,
			  const struct preference *before, struct err *err)
{
	struct err ignored;

	if (pref->policy == NULL || strcmp(pref->policy, "preferred-only") != 0)
		return true;
	for (size_t kind = 0; kind < KIND_COUNT_; kind++) {
		if (leaves_somebody(c, (enum kind)kind, err))
			continue;
		if (!choices_save_preference(&c->state, before, &ignored))
			log_warn("the preferences are not put back: %s", ignored.why);
		return false;
	}
	return true;
}

static bool verb_prefer(struct verb_call *call, struct err *err)
{
	const struct options *o = call->options;
	SCOPED(preference) struct preference before = { 0 };
	SCOPED(preference) struct preference pref = { 0 };
	SCOPED(client) struct client c = { 0 };
	bool changes = options_argument_count(o) > 0 || options_given(o, "policy") ||
		       options_flag(o, "clear");

	if (!client_open(&c, call, STATE_READ, err) ||
	    !choices_load_preference(&before, &c.state, err) ||
	    !choices_load_preference(&pref, &c.state, err))
		return err_what(err, "cannot read this client's preferences");
	if (changes && (!change(&pref, o, err) || !choices_save_preference(&c.state, &pref, err) ||
			!keeps_contact(&c, &pref, &before, err)))
		return err_what(err, "cannot change this client's preferences");
	print_preference(call->print, &pref);
	return true;
}

/* ---- prefserv ---- */

enum word {
	WORD_CAP,
	WORD_DP,
	WORD_ADD,
	WORD_REMOVE,
	WORD_NONE,
};

static const char *const words[] = {
	[WORD_CAP] = "/cap",
	[WORD_DP] = "/dp",
	[WORD_ADD] = "/add",
	[WORD_REMOVE] = "/remove",
};

static enum word word_of(const char *text)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (text_equal_nocase(text, words[i]))
			return (enum word)i;
	return WORD_NONE;
}

/* One call's words, in the order in which they stand. */
struct prefserv {
	struct preference *pref;
	bool has_kind;
	enum kind kind;
	bool changes;
	const char *client_site; /* "" before an enrolment */
};

static bool is_site_code(const char *text)
{
	return strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						 "abcdefghijklmnopqrstuvwxyz0123456789") == 3;
}

static bool take_site(struct prefserv *p, enum word word, const char *site, struct err *err)
{
	if (!is_site_code(site))
		return err_set(err, ERR_USAGE, "\"%s\" is no site's code", site);
	if (p->client_site[0] != '\0' && !text_equal_nocase(site, p->client_site))
		return err_set(err, ERR_USAGE, "this client belongs to site %s, not to %s",
			       p->client_site, site);
	p->has_kind = true;
	p->kind = word == WORD_CAP ? KIND_CAP : KIND_DP;
	return true;
}

static bool take_path(struct prefserv *p, enum word word, const char *path, struct err *err)
{
	if (!p->has_kind)
		return err_set(err, ERR_USAGE, "%s stands before /cap SITE or /dp SITE",
			       words[word]);
	p->changes = true;
	if (word == WORD_ADD)
		return preference_add(p->pref, p->kind, path, err) || typed_wrong(err);
	return preference_remove(p->pref, p->kind, path) ||
	       err_set(err, ERR_NOT_FOUND, "%s is no preferred %s", path, kind_name(p->kind)) ||
	       err_fix(err, "see those that are there: packway prefserv");
}

static bool take_words(struct prefserv *p, const struct options *o, struct err *err)
{
	for (size_t i = 0; i < options_argument_count(o); i += 2) {
		enum word word = word_of(options_argument(o, i));
		const char *value = options_argument(o, i + 1);

		if (word == WORD_NONE)
			return err_set(err, ERR_USAGE, "\"%s\" is none of /cap, /dp, /add, /remove",
				       options_argument(o, i));
		if (value == NULL)
			return err_set(err, ERR_USAGE, "%s wants %s", words[word],
				       word <= WORD_DP ? "a site's code" : "a NAL path");
		if (word <= WORD_DP ? !take_site(p, word, value, err)
				    : !take_path(p, word, value, err))
			return false;
	}
	return true;
}

static bool verb_prefserv(struct verb_call *call, struct err *err)
{
	SCOPED(preference) struct preference before = { 0 };
	SCOPED(preference) struct preference pref = { 0 };
	SCOPED(state_identity) struct state_identity id = { 0 };
	SCOPED(client) struct client c = { 0 };
	struct prefserv p = { .pref = &pref };

	if (!client_open(&c, call, STATE_READ, err) ||
	    !choices_load_preference(&before, &c.state, err) ||
	    !choices_load_preference(&pref, &c.state, err) ||
	    !state_load_identity(&id, &c.state, err))
		return err_what(err, "cannot read this client's preferences");
	p.client_site = id.site;
	if (!take_words(&p, call->options, err) ||
	    (p.changes && (!choices_save_preference(&c.state, &pref, err) ||
			   !keeps_contact(&c, &pref, &before, err))))
		return err_what(err, "cannot change this client's preferences");
	print_preference(call->print, &pref);
	return true;
}

/* ---- import-nal ---- */

/* A word for a shell. The caller frees it. */
static char *quoted(const char *text)
{
	SCOPED(buf) struct buf out = { 0 };

	buf_put_u8(&out, '\'');
	for (; *text != '\0'; text++)
		if (*text == '\'')
			buf_put_text(&out, "'\\''");
		else
			buf_put_u8(&out, (uint8_t)*text);
	buf_put_u8(&out, '\'');
	return buf_take(&out);
}

static void add_command(json_t *list, char *command)
{
	json_array_append_new(list, jsondoc_new_text(command));
	free(command);
}

/* The commands that do what the export says. */
static json_t *new_commands(const struct nalimport *n)
{
	json_t *list = json_array();

	for (size_t i = 0; n->is_on[NALIMPORT_PREFERRED] && i < n->count; i++) {
		const struct nalimport_entry *e = &n->entries[i];
		SCOPED_TEXT char *path = quoted(e->path);

		if (e->is_taken)
			add_command(list, alloc_printf("packway prefer --%s %s", kind_name(e->kind),
						       path));
	}
	if (n->policy != NULL)
		add_command(list, alloc_printf("packway prefer --policy %s", n->policy));
	return list;
}

static json_t *new_entries(const struct nalimport *n, bool taken)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n->count; i++) {
		const struct nalimport_entry *e = &n->entries[i];
		json_t *row;

		if (e->is_taken != taken)
			continue;
		row = json_object();
		jsondoc_set_text(row, "kind", kind_name(e->kind));
		jsondoc_set(row, "site", jsondoc_new_text(e->site));
		jsondoc_set(row, "path", jsondoc_new_text(e->path));
		if (!taken)
			jsondoc_set(row, "why", jsondoc_new_text(e->why.why));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *new_import(const struct nalimport *n)
{
	json_t *doc = json_object(), *is_on = json_object();

	jsondoc_set_flag(is_on, "preferred", n->is_on[NALIMPORT_PREFERRED]);
	jsondoc_set_flag(is_on, "existing", n->is_on[NALIMPORT_EXISTING]);
	jsondoc_set_flag(is_on, "random", n->is_on[NALIMPORT_RANDOM]);
	jsondoc_set(doc, "switches", is_on);
	jsondoc_set(doc, "policy", n->policy != NULL ? jsondoc_new_text(n->policy) : json_null());
	jsondoc_set(doc, "preferred", new_entries(n, true));
	jsondoc_set(doc, "refused", new_entries(n, false));
	jsondoc_set(doc, "commands", new_commands(n));
	return doc;
}

static void warn_of_rest(const struct nalimport *n)
{
	bool is_cut_off = !n->is_on[NALIMPORT_PREFERRED] && !n->is_on[NALIMPORT_EXISTING] &&
			  !n->is_on[NALIMPORT_RANDOM];

	for (size_t i = 0; i < n->count; i++)
		if (!n->entries[i].is_taken)
			log_warn("%s: left out: %s", n->entries[i].path, n->entries[i].why.why);
	if (!n->is_on[NALIMPORT_PREFERRED] && n->count > 0)
		log_warn("the lists are left out: \"%s\" is off",
			 nalimport_switch_name(NALIMPORT_PREFERRED));
	if (is_cut_off)
		log_warn("all three ways of choosing are off, which would leave no server: the "
			 "policy stays as it is");
}

static void print_import(struct print *p, const json_t *doc)
{
	const json_t *command;
	size_t i;

	if (print_is_json(p)) {
		print_document(p, doc);
		return;
	}
	json_array_foreach (json_object_get(doc, "commands"), i, command)
		print_line(p, command, "%s", json_string_value(command));
	if (i == 0)
		print_note(p, "nothing has to be set: this is how Packway chooses by itself");
}

static bool apply_import(struct verb_call *call, const struct nalimport *n, struct err *err)
{
	SCOPED(preference) struct preference before = { 0 };
	SCOPED(preference) struct preference pref = { 0 };
	SCOPED(client) struct client c = { 0 };

	return client_open(&c, call, STATE_READ, err) &&
	       choices_load_preference(&before, &c.state, err) &&
	       choices_load_preference(&pref, &c.state, err) && nalimport_apply(&pref, n, err) &&
	       choices_save_preference(&c.state, &pref, err) &&
	       keeps_contact(&c, &pref, &before, err);
}

static bool verb_import_nal(struct verb_call *call, struct err *err)
{
	const char *path = options_argument(call->options, 0);
	bool applies = options_flag(call->options, "apply");
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(regfile) struct regfile file = { 0 };
	SCOPED(nalimport) struct nalimport n = { 0 };
	json_auto_t *doc = NULL;

	if (!path_read(&bytes, path, REGFILE_BYTES_MAX, err) ||
	    !regfile_read(&file, buf_span(&bytes), err) || !nalimport_find(&n, &file, err))
		return err_what(err, "cannot import %s", path);
	if (applies && !apply_import(call, &n, err))
		return err_what(err, "cannot apply %s", path);
	doc = new_import(&n);
	jsondoc_set_flag(doc, "applied", applies);
	warn_of_rest(&n);
	print_import(call->print, doc);
	if (applies)
		print_note(call->print, "applied to this client");
	return true;
}

static const struct argument_spec prefer_arguments[] = {
	{ "LOCATOR", OPTION_TEXT, ARGUMENT_OPTIONAL | ARGUMENT_REPEATED,
	  "name, host, address or prefix of one" },
	{ NULL },
};
static const struct option_spec prefer_options[] = {
	{ .name = "cap", .type = OPTION_FLAG, .help = "for CAPs only" },
	{ .name = "dp", .type = OPTION_FLAG, .help = "for DPs only" },
	{ .name = "policy",
	  .type = OPTION_TEXT,
	  .value = "NAME",
	  .help = "choose by that policy from now on" },
	{ .name = "clear", .type = OPTION_FLAG, .help = "forget what was set before" },
	{ NULL },
};

static const struct argument_spec prefserv_arguments[] = {
	{ "WORD", OPTION_TEXT, ARGUMENT_OPTIONAL | ARGUMENT_REPEATED,
	  "/cap SITE or /dp SITE, then /add NALPATH or /remove NALPATH; none lists" },
	{ NULL },
};
static const struct argument_spec import_arguments[] = {
	{ "FILE", OPTION_PATH, 0, "a registry export (.reg) of an SMS client" },
	{ NULL },
};
static const struct option_spec import_options[] = {
	{ .name = "apply",
	  .type = OPTION_FLAG,
	  .help = "set it for this client, and do not only print the commands" },
	{ NULL },
};

const struct verb client_verbs_prefer[] = {
	{ .name = "prefer",
	  .run = verb_prefer,
	  .summary = "show or set preferred servers and policy",
	  .arguments = prefer_arguments,
	  .options = prefer_options },
	{ .name = "prefserv",
	  .run = verb_prefserv,
	  .summary = "prefer, with the arguments that SMS's prefserv had",
	  .arguments = prefserv_arguments },
	{ .name = "import-nal",
	  .run = verb_import_nal,
	  .summary = "preferences from the registry of an SMS client",
	  .arguments = import_arguments,
	  .options = import_options },
	{ NULL },
};
