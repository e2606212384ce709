/* status, messages, query. */
#include "cli/site_call.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"
#include "site/report.h"
#include "site/reserve.h"
#include "site/sitekeys.h"

static const struct print_column status_columns[] = {
	{ "advertisement" }, { "package" },   { "program" },  { "collection" },
	{ "state" },         { "targeted" },  { "received" }, { "waiting" },
	{ "running" },       { "succeeded" }, { "failed" },   { 0 },
};

/* For people: what needs an eye, besides the counts. */
static bool print_cares(struct verb_call *call, struct site *site, struct err *err)
{
	static const struct print_column columns[] = {
		{ "time" },
		{ "client" },
		{ "text", .title = "alert" },
		{ 0 },
	};
	char short_of_room[RESERVE_WARNING_SIZE];
	SCOPED_TEXT char *warning = NULL;
	json_auto_t *alerts = NULL;
	json_auto_t *keys = NULL;
	json_t *row;
	size_t i;

	if (print_is_json(call->print))
		return true;
	if (!report_alerts(&alerts, site, err) || !sitekeys_list(&keys, site, err))
		return false;
	print_section(call->print, "alerts", columns, alerts);
	if (reserve_warning(short_of_room, site->dir, config_number(call->config, "reserve", 0)))
		print_note(call->print, "%s", short_of_room);
	if (sitekeys_can_sign_code(keys))
		print_note(call->print,
			   "the keys that sign programs are on this machine (packway-site keys)");
	else
		print_note(call->print, "no program can be signed on this machine alone");
	warning = sitekeys_new_warning(keys);
	if (warning != NULL)
		print_note(call->print, "%s", warning);
	json_array_foreach (keys, i, row) {
		SCOPED_TEXT char *waiting = sitekeys_new_waiting(row);

		if (waiting != NULL)
			print_note(call->print, "%s", waiting);
	}
	return true;
}

static bool run_status(struct verb_call *call, struct err *err)
{
	static const struct print_column failures[] = {
		{ "client" }, { "name" }, { "time" }, { "text" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;
	json_t *row;
	size_t i;
	enum report_scope scope = options_flag(call->options, "failed") ? REPORT_FAILED
									: REPORT_ALL;

	if (!site_call_open(&site, call, err) ||
	    !report_status(&rows, site, options_argument(call->options, 0), scope, err))
		return false;
	print_table(call->print, status_columns, rows,
		    scope == REPORT_FAILED ? "no failures" : "no advertisements");
	json_array_foreach (rows, i, row)
		print_section(call->print, "failed", failures, json_object_get(row, "failures"));
	return options_argument(call->options, 0) != NULL || print_cares(call, site, err);
}

static bool run_messages(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "time" },    { "client" },        { "sequence" }, { "id" }, { "package" },
		{ "program" }, { "advertisement" }, { "text" },     { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) ||
	    !report_messages(&rows, site, options_text(call->options, "client"),
			     options_text(call->options, "advertisement"), err))
		return false;
	print_table(call->print, columns, rows, "no messages");
	return true;
}

/* The columns are the query's own. */
static bool run_query(struct verb_call *call, struct err *err)
{
	struct print_column *columns = NULL;
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;
	size_t count = 0;
	const char *key;
	json_t *value;

	if (!site_call_open(&site, call, err) ||
	    !report_query(&rows, site, options_argument(call->options, 0), err))
		return false;
	json_object_foreach (json_array_get(rows, 0), key, value) {
		ALLOC_GROW(columns, count);
		columns[count++] = (struct print_column){ .key = key };
	}
	ALLOC_GROW(columns, count);
	columns[count] = (struct print_column){ 0 };
	print_table(call->print, columns, rows, "no rows");
	free(columns);
	return true;
}

static const struct argument_spec status_arguments[] = {
	{ .name = "ID",
	  .type = OPTION_TEXT,
	  .flags = ARGUMENT_OPTIONAL,
	  .help = "one advertisement, or all of one package" },
	{ 0 },
};

static const struct argument_spec query_arguments[] = {
	{ .name = "SELECT",
	  .type = OPTION_TEXT,
	  .help = "one SELECT over client, os, hardware, network, disk, software, status, message" },
	{ 0 },
};

static const struct option_spec status_options[] = {
	{ .name = "failed", .help = "only advertisements that failed somewhere, and where" },
	{ 0 },
};

static const struct option_spec messages_options[] = {
	{ .name = "client", .type = OPTION_TEXT, .value = "ID", .help = "of this client only" },
	{ .name = "advertisement",
	  .type = OPTION_TEXT,
	  .value = "ADV",
	  .help = "of this advertisement only" },
	{ 0 },
};

const struct verb site_report_verbs[] = {
	{
		.name = "status",
		.run = run_status,
		.summary = "how far each advertisement is",
		.arguments = status_arguments,
		.options = status_options,
	},
	{
		.name = "messages",
		.run = run_messages,
		.summary = "what clients reported, as one timeline each",
		.options = messages_options,
	},
	{
		.name = "query",
		.run = run_query,
		.summary = "ask inventory and status by SQL, read-only",
		.arguments = query_arguments,
	},
	{ 0 },
};
