/* init, keys, config. */
#include "cli/site_call.h"

#include "common/jsondoc.h"
#include "common/log.h"
#include "site/sitekeys.h"

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
		{ "role" }, { "version" },   { "expires" },
		{ "keys" }, { "threshold" }, { "here", .title = "keys here" },
		{ 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !sitekeys_list(&rows, site, err))
		return false;
	print_table(call->print, columns, rows, "no roles");
	if (sitekeys_can_sign_code(rows))
		log_warn(
			"the keys that sign programs are on this machine: whoever takes it over could sign programs");
	return true;
}

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
	VERB_CONFIG_ROW,
	{ 0 },
};
