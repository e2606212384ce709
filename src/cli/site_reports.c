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

static void add_note(json_t *notes, const char *about, const char *text)
{
	json_t *note = json_object();

	jsondoc_set_text(note, "about", about);
	jsondoc_set_text(note, "text", text);
	json_array_append_new(notes, note);
}

static void add_notes_on_keys(json_t *notes, const json_t *keys)
{
	SCOPED_TEXT char *warning = sitekeys_new_warning(keys);
	const json_t *row;
	size_t i;

	add_note(notes, "keys",
		 sitekeys_can_sign_code(keys)
			 ? "the keys that sign programs are on this machine (packway-site keys)"
			 : "no program can be signed on this machine alone");
	if (warning != NULL)
		add_note(notes, "keys", warning);
	json_array_foreach (keys, i, row) {
		SCOPED_TEXT char *waiting = sitekeys_new_waiting(row);

		if (waiting != NULL)
			add_note(notes, "keys", waiting);
	}
}

/* What needs an eye, besides the counts and alerts: `about` and `text`. */
static bool find_notes(json_t **out, struct verb_call *call, struct site *site, struct err *err)
{
	char short_of_room[RESERVE_WARNING_SIZE];
	json_auto_t *keys = NULL;

	if (!sitekeys_list(&keys, site, err))
		return false;
	*out = json_array();
	if (reserve_warning(short_of_room, site->dir, config_number(call->config, "reserve", 0)))
		add_note(*out, "reserve", short_of_room);
	add_notes_on_keys(*out, keys);
	return true;
}

static void print_notes(struct verb_call *call, const json_t *notes)
{
	const json_t *note;
	size_t i;

	json_array_foreach (notes, i, note)
		print_note(call->print, "%s", jsondoc_text(note, "text"));
}

static bool print_cares(struct verb_call *call, struct site *site, struct err *err)
{
	static const struct print_column columns[] = {
		{ "time" },
		{ "client" },
		{ "text", .title = "alert" },
		{ 0 },
	};
	json_auto_t *alerts = NULL;
	json_auto_t *notes = NULL;

	if (!report_alerts(&alerts, site, err) || !find_notes(&notes, call, site, err))
		return false;
	print_section(call->print, "alerts", columns, alerts);
	print_notes(call, notes);
	return true;
}

/* Programs get the cares alone, since the rows of the others are advertisements. */
static bool run_notes(struct verb_call *call, struct site *site, struct err *err)
{
	static const struct print_column columns[] = {
		{ "about" }, { "time" }, { "client" }, { "text" }, { 0 },
	};
	json_auto_t *alerts = NULL;
	json_auto_t *notes = NULL;
	json_t *alert;
	size_t i;

	if (!report_alerts(&alerts, site, err) || !find_notes(&notes, call, site, err))
		return false;
	json_array_foreach (alerts, i, alert) {
		jsondoc_set_text(alert, "about", "alert");
		json_array_append(notes, alert);
	}
	print_table(call->print, columns, notes, "no notes");
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

	if (!site_call_open(&site, call, err))
		return false;
	if (options_flag(call->options, "notes"))
		return run_notes(call, site, err);
	if (!report_status(&rows, site, options_argument(call->options, 0), scope, err))
		return false;
	print_table(call->print, status_columns, rows,
		    scope == REPORT_FAILED ? "no failures" : "no advertisements");
	json_array_foreach (rows, i, row)
		print_section(call->print, "failed", failures, json_object_get(row, "failures"));
	return options_argument(call->options, 0) != NULL || print_is_json(call->print) ||
	       print_cares(call, site, err);
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
	{ .name = "notes",
	  .help = "only what needs an eye: alerts, a disk below its reserve, keys" },
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
