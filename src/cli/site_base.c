/* init, keys and what is done with them, config. */
#include "cli/site_call.h"

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/text.h"
#include "site/publish.h"
#include "site/sitekeys.h"

static const struct print_column request_columns[] = {
	{ "role" }, { "version" }, { "expires" }, { "targets" }, { "signatures" }, { 0 },
};

static bool run_init(struct verb_call *call, struct err *err)
{
	const char *dir = options_argument(call->options, 0);
	const char *code = options_text(call->options, "code");
	json_auto_t *doc = json_object();

	if (!site_init(dir, code, options_text(call->options, "name"), call->clock, err))
		return false;
	jsondoc_set_text(doc, "site", code);
	jsondoc_set(doc, "dir", jsondoc_new_text(dir));
	print_result(call->print, doc, "site %s is ready in %s", code, dir);
	print_note(call->print,
		   "all its keys are on this machine: whoever takes it over could sign programs");
	return true;
}

static bool run_keys(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "role" },
		{ "version" },
		{ "expires" },
		{ "days_left", .title = "days left" },
		{ "bins" },
		{ "keys" },
		{ "threshold" },
		{ "here", .title = "keys here" },
		{ "where", .title = "signed" },
		{ 0 },
	};
	SCOPED(site) struct site *site = NULL;
	SCOPED_TEXT char *warning = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !sitekeys_list(&rows, site, err))
		return false;
	print_table(call->print, columns, rows, "no roles");
	if (sitekeys_can_sign_code(rows))
		log_warn(
			"the keys that sign programs are on this machine: whoever takes it over could sign programs");
	else
		print_note(call->print, "no program can be signed on this machine alone");
	warning = sitekeys_new_warning(rows);
	if (warning != NULL)
		log_warn("%s", warning);
	return true;
}

/* What a change of keys came to; it is in SITE/published, and on CAPs with the next publish. */
static void tell_change(struct verb_call *call, const json_t *doc, const char *what)
{
	const json_t *waiting = json_object_get(doc, "waiting");

	print_result(call->print, doc, "%s: timestamp %lld", what,
		     (long long)jsondoc_int(doc, "timestamp", 0));
	if (json_array_size(waiting) > 0)
		print_note(call->print,
			   "role %s waits for keys that are elsewhere: packway-site keys request "
			   "FILE, sign it there, and import it",
			   json_string_value(json_array_get(waiting, 0)));
	else
		print_note(call->print, "clients get it with the next publish");
}

static bool run_rotate(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	const char *to = options_text(call->options, "to");
	const char *role = options_argument(call->options, 0);

	if (!site_call_open(&site, call, err) ||
	    !(to != NULL ? sitekeys_rotate_to(&doc, site, role, to, err)
			 : sitekeys_rotate(&doc, site, role, err)))
		return false;
	tell_change(call, doc, "new keys");
	return true;
}

static bool run_threshold(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;
	uint64_t threshold = 0;

	if (!text_u64(&threshold, options_argument(call->options, 1), 1, SITEROLE_KEYS_MAX))
		return err_set(err, ERR_USAGE, "N is a number from 1 to %d", SITEROLE_KEYS_MAX);
	if (!site_call_open(&site, call, err) ||
	    !sitekeys_set_threshold(&doc, site, options_argument(call->options, 0),
				    (size_t)threshold, err))
		return false;
	tell_change(call, doc, "new threshold");
	return true;
}

static void tell_request(struct verb_call *call, const json_t *request, const char *file,
			 size_t signatures)
{
	json_auto_t *doc = json_object();
	json_t *rows = json_array(), *wish;
	size_t i;

	json_array_foreach (json_object_get(request, "roles"), i, wish) {
		const json_t *body = json_object_get(wish, "signed");
		json_t *row = json_object();

		jsondoc_set_text(row, "role", jsondoc_text(wish, "role"));
		jsondoc_set_int(row, "version", jsondoc_int(body, "version", 0));
		jsondoc_set_text(row, "expires", jsondoc_text(body, "expires"));
		jsondoc_set_int(row, "targets",
				(int64_t)json_object_size(json_object_get(body, "targets")));
		jsondoc_set_int(row, "signatures",
				(int64_t)json_array_size(json_object_get(wish, "signatures")));
		json_array_append_new(rows, row);
	}
	jsondoc_set(doc, "file", jsondoc_new_text(file));
	jsondoc_set_int(doc, "made", (int64_t)signatures);
	jsondoc_set(doc, "roles", rows);
	print_result(call->print, doc, "%zu roles in %s", json_array_size(rows), file);
	print_section(call->print, "roles", request_columns, rows);
}

static bool run_request(struct verb_call *call, struct err *err)
{
	const struct policydoc_settings settings = site_call_settings(call);
	const char *file = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *request = NULL;

	if (!site_call_open(&site, call, err) || !publish_request(&request, site, &settings, err) ||
	    !sitekeys_write_request(file, request, err))
		return false;
	tell_request(call, request, file, 0);
	return true;
}

/* The folder of key files; the caller frees it. */
static char *keys_folder(const struct verb_call *call)
{
	const char *given = options_text(call->options, "keys");

	return given != NULL ? alloc_text(given)
			     : path_join(config_text(call->config, "site"), "keys");
}

/* Needs no site: the key never leaves the machine that it is made on. */
static bool run_make(struct verb_call *call, struct err *err)
{
	const char *role = options_argument(call->options, 0);
	const char *file = options_argument(call->options, 1);
	SCOPED_TEXT char *keys = keys_folder(call), *name = NULL;
	json_auto_t *doc = json_object();

	if (!sitekeys_make_key(&name, role, keys, file, err))
		return false;
	jsondoc_set_text(doc, "role", role);
	jsondoc_set(doc, "file", jsondoc_new_text(file));
	jsondoc_set(doc, "key", jsondoc_new_text(name));
	print_result(call->print, doc, "%s/%s is made; bring %s to the site", keys, name, file);
	print_note(call->print, "there: packway-site keys rotate %s --to %s, then keys request",
		   role, file);
	return true;
}

/* Needs no site: the folder of keys is on a machine of its own. */
static bool run_sign(struct verb_call *call, struct err *err)
{
	const char *file = options_argument(call->options, 0);
	SCOPED_TEXT char *keys = keys_folder(call);
	json_auto_t *request = NULL;
	size_t made;

	if (!sitekeys_read_request(&request, file, err) ||
	    !repository_sign_request(&made, request, keys, err))
		return false;
	if (made == 0)
		return err_set(err, ERR_REFUSED, "no key in %s may sign anything in %s", keys,
			       file);
	if (!sitekeys_write_request(file, request, err))
		return false;
	tell_request(call, request, file, made);
	return true;
}

static bool run_import(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !sitekeys_import(&doc, site, options_argument(call->options, 0), err))
		return false;
	tell_change(call, doc, "imported");
	return true;
}

static const struct argument_spec rotate_arguments[] = {
	{ .name = "ROLE", .type = OPTION_NAME, .help = "a role that `keys` shows" },
	{ 0 },
};

static const struct option_spec rotate_options[] = {
	{ .name = "to",
	  .type = OPTION_PATH,
	  .value = "FILE",
	  .help = "a public key that `keys make` wrote on another machine, instead of new keys made here" },
	{ 0 },
};

static const struct argument_spec make_arguments[] = {
	{ .name = "ROLE",
	  .type = OPTION_NAME,
	  .help = "root, targets, packages or another that `keys` shows" },
	{ .name = "FILE", .type = OPTION_PATH, .help = "where its public half is written" },
	{ 0 },
};

static const struct argument_spec threshold_arguments[] = {
	{ .name = "ROLE", .type = OPTION_NAME, .help = "a role that `keys` shows" },
	{ .name = "N", .type = OPTION_NUMBER, .help = "how many keys have to sign it" },
	{ 0 },
};

static const struct argument_spec request_arguments[] = {
	{ .name = "FILE", .type = OPTION_PATH, .help = "the request" },
	{ 0 },
};

static const struct option_spec sign_options[] = {
	{ .name = "keys",
	  .type = OPTION_PATH,
	  .value = "DIR",
	  .help = "the folder of the key files, ROLE.key or ROLE-ANYTHING.key; SITE/keys if not given" },
	{ 0 },
};

static const struct argument_spec init_arguments[] = {
	{ .name = "DIR", .type = OPTION_PATH, .help = "a folder that does not exist, or is empty" },
	{ 0 },
};

static const struct option_spec init_options[] = {
	{ .name = "code",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REQUIRED,
	  .value = "LON",
	  .help = "the site's code: three of A-Z and 0-9" },
	{ .name = "name", .type = OPTION_TEXT, .help = "the site's name; the code if not given" },
	{ 0 },
};

const struct verb site_base_verbs[] = {
	{
		.name = "init",
		.run = run_init,
		.summary = "make a site: keys, database, content library",
		.arguments = init_arguments,
		.options = init_options,
	},
	{
		.name = "keys",
		.run = run_keys,
		.summary = "show the roles that sign, and whose keys are on this machine",
	},
	{
		.name = "keys rotate",
		.run = run_rotate,
		.summary = "give a role new keys in the place of those on this machine",
		.arguments = rotate_arguments,
		.options = rotate_options,
	},
	{
		.name = "keys make",
		.run = run_make,
		.summary = "make a key for a role in a folder of this machine; needs no site",
		.arguments = make_arguments,
		.options = sign_options,
	},
	{
		.name = "keys threshold",
		.run = run_threshold,
		.summary = "let so many keys have to sign a role; missing ones are made here",
		.arguments = threshold_arguments,
	},
	{
		.name = "keys request",
		.run = run_request,
		.summary = "write what has to be signed by keys that are elsewhere",
		.arguments = request_arguments,
	},
	{
		.name = "keys sign",
		.run = run_sign,
		.summary = "sign a request with the keys of a folder; needs no site",
		.arguments = request_arguments,
		.options = sign_options,
	},
	{
		.name = "keys import",
		.run = run_import,
		.summary = "take in a request that was signed",
		.arguments = request_arguments,
	},
	VERB_CONFIG_ROW,
	{ 0 },
};
