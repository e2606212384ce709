/* cap and dp. */
#include "cli/site_call.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "site/system.h"

static bool add_system(struct verb_call *call, const struct system_spec *spec, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED_TEXT char *note = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !system_add(site, spec, &note, err))
		return false;
	jsondoc_set_text(doc, "name", spec->name);
	jsondoc_set_text(doc, "kind", marker_kind_name(spec->kind));
	print_result(call->print, doc, "%s %s added", marker_kind_name(spec->kind), spec->name);
	if (note != NULL)
		print_note(call->print, "%s", note);
	return true;
}

/* Arguments from the second on, as borrowed texts. */
static const char **urls_of(const struct verb_call *call, size_t *count_out)
{
	size_t count = options_argument_count(call->options) - 1;
	const char **urls = alloc_zeroed(count, sizeof(*urls));

	for (size_t i = 0; i < count; i++)
		urls[i] = options_argument(call->options, i + 1);
	*count_out = count;
	return urls;
}

static bool run_cap_add(struct verb_call *call, struct err *err)
{
	struct system_spec spec = {
		.kind = MARKER_CAP,
		.name = options_argument(call->options, 0),
		.group = options_text(call->options, "group"),
		.inbox = options_text(call->options, "inbox"),
	};
	const char **urls = urls_of(call, &spec.url_count);
	bool done;

	spec.urls = urls;
	done = add_system(call, &spec, err);
	free(urls);
	return done;
}

static bool run_dp_add(struct verb_call *call, struct err *err)
{
	struct system_spec spec = {
		.kind = MARKER_DP,
		.name = options_argument(call->options, 0),
		.group = options_text(call->options, "group"),
		.max_rate = options_number(call->options, "max-rate", 0),
		.window = options_text(call->options, "window"),
		.is_external = options_flag(call->options, "external"),
	};
	const char **urls = urls_of(call, &spec.url_count);
	bool done;

	spec.urls = urls;
	done = add_system(call, &spec, err);
	free(urls);
	return done;
}

static const struct print_column cap_columns[] = {
	{ "name" }, { "addresses" }, { "group" }, { "inbox" }, { 0 },
};

static const struct print_column dp_columns[] = {
	{ "name" },   { "addresses" }, { "group" }, { "max_rate", PRINT_RATE },
	{ "window" }, { "external" },  { 0 },
};

static bool list_systems(struct verb_call *call, enum marker_kind kind,
			 const struct print_column *columns, const char *if_empty, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !system_list_json(&rows, site, kind, err))
		return false;
	print_table(call->print, columns, rows, if_empty);
	return true;
}

static bool run_cap_list(struct verb_call *call, struct err *err)
{
	return list_systems(call, MARKER_CAP, cap_columns, "no CAPs", err);
}

static bool run_dp_list(struct verb_call *call, struct err *err)
{
	return list_systems(call, MARKER_DP, dp_columns, "no DPs", err);
}

static bool remove_system(struct verb_call *call, enum marker_kind kind, struct err *err)
{
	const char *name = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) ||
	    (kind == MARKER_CAP && !options_flag(call->options, "now") &&
	     !system_check_overlap(site, name, err)) ||
	    !system_remove(site, kind, name, err))
		return false;
	jsondoc_set_text(doc, "removed", name);
	print_result(call->print, doc, "%s %s removed", marker_kind_name(kind), name);
	return true;
}

static bool run_cap_remove(struct verb_call *call, struct err *err)
{
	return remove_system(call, MARKER_CAP, err);
}

static bool run_dp_remove(struct verb_call *call, struct err *err)
{
	return remove_system(call, MARKER_DP, err);
}

static const struct argument_spec add_arguments[] = {
	{ .name = "NAME", .type = OPTION_NAME, .help = "the system's name" },
	{ .name = "URL",
	  .type = OPTION_TEXT,
	  .flags = ARGUMENT_REPEATED,
	  .help = "its addresses; the site writes through the first" },
	{ 0 },
};

static const struct argument_spec name_argument[] = {
	{ .name = "NAME", .type = OPTION_NAME, .help = "the system's name" },
	{ 0 },
};

static const struct option_spec cap_options[] = {
	{ .name = "group", .type = OPTION_NAME, .value = "G", .help = "its boundary group" },
	{ .name = "inbox",
	  .type = OPTION_TEXT,
	  .value = "URL",
	  .help = "where clients put uploads, if not beneath the addresses" },
	{ 0 },
};

static const struct option_spec cap_remove_options[] = {
	{ .name = "now", .help = "even where clients know no other CAP yet" },
	{ 0 },
};

static const struct option_spec dp_options[] = {
	{ .name = "group", .type = OPTION_NAME, .value = "G", .help = "its boundary group" },
	{ .name = "max-rate",
	  .type = OPTION_SIZE,
	  .value = "R",
	  .help = "copy there with at most this rate, such as 2MB/s" },
	{ .name = "window", .type = OPTION_WINDOW, .help = "copy there in these hours only" },
	{ .name = "external",
	  .help = "somebody else fills it: the site looks into it and writes nothing" },
	{ 0 },
};

const struct verb site_system_verbs[] = {
	{
		.name = "cap add",
		.run = run_cap_add,
		.summary = "add a client access point",
		.arguments = add_arguments,
		.options = cap_options,
	},
	{ .name = "cap list", .run = run_cap_list, .summary = "list the CAPs" },
	{
		.name = "cap remove",
		.run = run_cap_remove,
		.summary = "take a CAP out of policy",
		.arguments = name_argument,
		.options = cap_remove_options,
	},
	{
		.name = "dp add",
		.run = run_dp_add,
		.summary = "add a distribution point",
		.arguments = add_arguments,
		.options = dp_options,
	},
	{ .name = "dp list", .run = run_dp_list, .summary = "list the DPs" },
	{
		.name = "dp remove",
		.run = run_dp_remove,
		.summary = "take a DP out of policy",
		.arguments = name_argument,
	},
	{ 0 },
};
