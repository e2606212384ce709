/* group and boundary. */
#include "cli/site_call.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/log.h"
#include "site/group.h"
#include "site/lint.h"

/* They may be added later: that is how two groups become neighbours of each other. */
static bool warn_of_strangers(struct site *site, const char *name, struct err *err)
{
	json_auto_t *rows = NULL;
	json_t *row;
	size_t i;

	if (!group_list_strangers(&rows, site, name, err))
		return false;
	json_array_foreach (rows, i, row)
		log_warn("there is no group \"%s\" yet; it is no neighbour until it is added",
			 jsondoc_text(row, "other"));
	return true;
}

static bool run_add(struct verb_call *call, struct err *err)
{
	const char *open_ways = options_text(call->options, "open-ways");
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();
	struct group_spec spec = {
		.name = options_argument(call->options, 0),
		.default_after = options_text(call->options, "default-after"),
		.policy = options_text(call->options, "policy"),
		.fence = options_flag(call->options, "fence"),
		.cross_tier = open_ways != NULL && strcmp(open_ways, "cross-tier") == 0,
		.max_rate = options_number(call->options, "max-rate", 0),
		.window = options_text(call->options, "window"),
	};

	spec.neighbours = options_all(call->options, "neighbour", &spec.neighbour_count);
	spec.prefer = options_all(call->options, "prefer", &spec.prefer_count);
	if (!site_call_open(&site, call, err) || !group_add(site, &spec, err))
		return false;
	jsondoc_set_text(doc, "name", spec.name);
	print_result(call->print, doc, "group %s added", spec.name);
	return warn_of_strangers(site, spec.name, err);
}

static bool run_list(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "name" },
		{ "boundaries" },
		{ "systems" },
		{ "neighbours" },
		{ "default_after_minutes", .title = "default after min" },
		{ "fence" },
		{ "policy" },
		{ "open_ways" },
		{ "max_rate", PRINT_RATE },
		{ "window" },
		{ 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !group_list(&rows, site, err))
		return false;
	print_table(call->print, columns, rows,
		    "no groups: every client is served by every CAP and DP");
	return true;
}

static bool run_show(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "name" },
		{ "boundaries" },
		{ "systems" },
		{ "neighbours" },
		{ "default_after_minutes" },
		{ "fence" },
		{ "policy" },
		{ "prefer" },
		{ "open_ways" },
		{ "max_rate", PRINT_RATE },
		{ "window" },
		{ 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !group_show(&doc, site, options_argument(call->options, 0), err))
		return false;
	print_fields(call->print, columns, doc);
	return true;
}

static bool run_remove(struct verb_call *call, struct err *err)
{
	const char *name = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !group_remove(site, name, err))
		return false;
	jsondoc_set_text(doc, "removed", name);
	print_result(call->print, doc, "group %s removed", name);
	return true;
}

static bool run_boundary_add(struct verb_call *call, struct err *err)
{
	const char *cidr = options_argument(call->options, 0);
	const char *group = options_text(call->options, "group");
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !group_add_boundary(site, cidr, group, err))
		return false;
	jsondoc_set_text(doc, "boundary", cidr);
	jsondoc_set_text(doc, "group", group);
	print_result(call->print, doc, "boundary %s added to group %s", cidr, group);
	return true;
}

static bool run_boundary_list(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = { { "boundary" }, { "group" }, { 0 } };
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !group_list_boundaries(&rows, site, err))
		return false;
	print_table(call->print, columns, rows, "no boundaries");
	return true;
}

static void print_finding(struct print *p, const json_t *row)
{
	const char *about = jsondoc_text(row, "about");

	print_line(p, row, "%s %s%s%s: %s", jsondoc_text(row, "level"),
		   jsondoc_text(row, "finding"), about != NULL ? " " : "",
		   about != NULL ? about : "", jsondoc_text(row, "text"));
	print_line(p, row, "    to do: %s", jsondoc_text(row, "fix"));
}

/* Findings are a result: they are printed, and the exit code tells that there are some. */
static bool run_boundary_lint(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "level" }, { "finding" }, { "about" }, { "text" }, { "fix" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;
	bool is_clean;
	json_t *row;
	size_t i;

	if (!site_call_open(&site, call, err) || !lint_run(&rows, &is_clean, site, err))
		return err_what(err, "cannot look at the boundaries");
	if (!is_clean)
		call->exit = EXIT_REFUSED;
	if (print_is_json(call->print) || json_array_size(rows) == 0)
		print_table(call->print, columns, rows, "nothing to find");
	else
		json_array_foreach (rows, i, row)
			print_finding(call->print, row);
	return true;
}

static bool run_boundary_remove(struct verb_call *call, struct err *err)
{
	const char *cidr = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !group_remove_boundary(site, cidr, err))
		return false;
	jsondoc_set_text(doc, "removed", cidr);
	print_result(call->print, doc, "boundary %s removed", cidr);
	return true;
}

static const struct argument_spec name_argument[] = {
	{ .name = "NAME", .type = OPTION_NAME, .help = "the group's name" },
	{ 0 },
};

static const struct argument_spec cidr_argument[] = {
	{ .name = "CIDR",
	  .type = OPTION_TEXT,
	  .help = "a network such as 10.1.0.0/16 or 2001:db8::/32" },
	{ 0 },
};

static const struct option_spec add_options[] = {
	{ .name = "neighbour",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REPEATED,
	  .value = "OTHER[:MINUTES]",
	  .help = "a group that may be used after that many minutes (120)" },
	{ .name = "default-after",
	  .type = OPTION_TEXT,
	  .value = "MINUTES|never",
	  .help = "when the site default may be used (120)" },
	{ .name = "fence", .help = "machines of this group never leave it and its neighbours" },
	{ .name = "policy",
	  .type = OPTION_CHOICE,
	  .choices = "existing|sms2|nearest|random|preferred-only",
	  .help = "how machines here choose; their own choice if not given" },
	{ .name = "prefer",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REPEATED,
	  .value = "SYSTEM",
	  .help = "a CAP, DP or locator that goes before all others" },
	{ .name = "open-ways",
	  .type = OPTION_CHOICE,
	  .choices = "in-tier|cross-tier",
	  .help = "whether an open way decides inside its tier only (in-tier)" },
	{ .name = "max-rate",
	  .type = OPTION_SIZE,
	  .value = "R",
	  .help = "machines here fetch content with at most this rate each, such as 2MB/s" },
	{ .name = "window",
	  .type = OPTION_WINDOW,
	  .help = "machines here fetch content in these hours of theirs only" },
	{ 0 },
};

static const struct option_spec boundary_options[] = {
	{ .name = "group",
	  .type = OPTION_NAME,
	  .flags = OPTION_REQUIRED,
	  .value = "G",
	  .help = "the group that machines in this network belong to" },
	{ 0 },
};

const struct verb site_group_verbs[] = {
	{
		.name = "group add",
		.run = run_add,
		.summary = "add a boundary group",
		.arguments = name_argument,
		.options = add_options,
	},
	{ .name = "group list", .run = run_list, .summary = "list the boundary groups" },
	{
		.name = "group show",
		.run = run_show,
		.summary = "show one group with its boundaries, neighbours and systems",
		.arguments = name_argument,
	},
	{
		.name = "group remove",
		.run = run_remove,
		.summary = "remove a group that nothing refers to",
		.arguments = name_argument,
	},
	{
		.name = "boundary add",
		.run = run_boundary_add,
		.summary = "put a network into a group; the longest prefix wins",
		.arguments = cidr_argument,
		.options = boundary_options,
	},
	{ .name = "boundary list", .run = run_boundary_list, .summary = "list all boundaries" },
	{
		.name = "boundary lint",
		.run = run_boundary_lint,
		.summary = "look for boundaries, groups and servers that cannot work as they are",
		.notes = "Exit code 1: there are faults or warnings; 0: none, or notes only.",
	},
	{
		.name = "boundary remove",
		.run = run_boundary_remove,
		.summary = "remove a boundary",
		.arguments = cidr_argument,
	},
	{ 0 },
};
