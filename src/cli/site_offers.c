/* collection, advertise and advertisement. */
#include "cli/site_call.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/text.h"
#include "site/advertisement.h"
#include "site/collection.h"

static bool run_collection_add(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();
	struct collection_spec spec = {
		.name = options_argument(call->options, 0),
		.query = options_text(call->options, "query"),
		.percent = (int64_t)options_number(call->options, "percent", 0),
	};

	spec.members = options_all(call->options, "member", &spec.member_count);
	if ((spec.query != NULL) == (spec.member_count > 0))
		return err_set(err, ERR_USAGE, "give either --query or --member");
	if (!site_call_open(&site, call, err) || !collection_add(site, &spec, err))
		return false;
	jsondoc_set_text(doc, "name", spec.name);
	print_result(call->print, doc, "collection %s added", spec.name);
	return true;
}

static bool run_collection_list(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "name" }, { "query" }, { "named_members" }, { "percent" }, { 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !collection_list(&rows, site, err))
		return false;
	print_table(call->print, columns, rows, "no collections");
	return true;
}

static bool run_collection_show(struct verb_call *call, struct err *err)
{
	static const struct print_column columns[] = {
		{ "name" },
		{ "query" },
		{ "named_members" },
		{ "percent" },
		{ "members", .title = "members now" },
		{ 0 },
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !collection_show(&doc, site, options_argument(call->options, 0), err))
		return false;
	print_fields(call->print, columns, doc);
	return true;
}

static bool run_collection_remove(struct verb_call *call, struct err *err)
{
	const char *name = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !collection_remove(site, name, err))
		return false;
	jsondoc_set_text(doc, "removed", name);
	print_result(call->print, doc, "collection %s removed", name);
	return true;
}

static bool read_version(int64_t *out, const char *text, struct err *err)
{
	uint64_t version;

	*out = 0;
	if (text == NULL || strcmp(text, "latest") == 0)
		return true;
	if (!text_u64(&version, text, 1, INT32_MAX))
		return err_set(err, ERR_USAGE,
			       "--version: \"%s\" is neither a version nor \"latest\"", text);
	*out = (int64_t)version;
	return true;
}

static bool run_advertise(struct verb_call *call, struct err *err)
{
	const struct options *o = call->options;
	int64_t now_s = clock_wall_s(call->clock);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();
	char id[SITE_ID_SIZE];
	struct advertisement_spec spec = {
		.package = options_argument(o, 0),
		.program = options_argument(o, 1),
		.collection = options_text(o, "collection"),
		.available_s = options_time(o, "available", now_s, -1),
		.mandatory_s = options_time(o, "mandatory", now_s, -1),
		.expires_s = options_time(o, "expires", now_s, -1),
		.window = options_text(o, "window"),
		.offer_to = options_text(o, "offer-to"),
	};

	if (!read_version(&spec.version, options_text(o, "version"), err) ||
	    !site_call_open(&site, call, err) || !advertisement_add(id, site, &spec, err))
		return false;
	jsondoc_set_text(doc, "advertisement", id);
	print_result(call->print, doc, "%s", id);
	return true;
}

static const struct print_column advertisement_columns[] = {
	{ "advertisement" }, { "package" }, { "program" },   { "collection" },
	{ "version" },       { "state" },   { "available" }, { "mandatory" },
	{ "expires" },       { "window" },  { "offer_to" },  { 0 },
};

static bool run_list(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *rows = NULL;

	if (!site_call_open(&site, call, err) || !advertisement_list(&rows, site, err))
		return false;
	print_table(call->print, advertisement_columns, rows, "no advertisements");
	return true;
}

static bool run_show(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = NULL;

	if (!site_call_open(&site, call, err) ||
	    !advertisement_show(&doc, site, options_argument(call->options, 0), err))
		return false;
	print_fields(call->print, advertisement_columns, doc);
	return true;
}

static bool set_state(struct verb_call *call, enum advertisement_state state, const char *word,
		      struct err *err)
{
	const char *id = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !advertisement_set_state(site, id, state, err))
		return false;
	jsondoc_set_text(doc, "advertisement", id);
	jsondoc_set_text(doc, "state", state == ADVERTISEMENT_STOPPED ? "stopped" : "active");
	print_result(call->print, doc, "%s %s; clients see it after the next publish", id, word);
	return true;
}

static bool run_stop(struct verb_call *call, struct err *err)
{
	return set_state(call, ADVERTISEMENT_STOPPED, "stopped", err);
}

static bool run_resume(struct verb_call *call, struct err *err)
{
	return set_state(call, ADVERTISEMENT_ACTIVE, "resumed", err);
}

static bool run_remove(struct verb_call *call, struct err *err)
{
	const char *id = options_argument(call->options, 0);
	SCOPED(site) struct site *site = NULL;
	json_auto_t *doc = json_object();

	if (!site_call_open(&site, call, err) || !advertisement_remove(site, id, err))
		return false;
	jsondoc_set_text(doc, "removed", id);
	print_result(call->print, doc, "%s removed", id);
	return true;
}

static const struct argument_spec name_argument[] = {
	{ .name = "NAME", .type = OPTION_NAME, .help = "the collection's name" },
	{ 0 },
};

static const struct argument_spec advertise_arguments[] = {
	{ .name = "ID", .type = OPTION_TEXT, .help = "the package's id" },
	{ .name = "PROGRAM", .type = OPTION_NAME, .help = "the program's name" },
	{ 0 },
};

static const struct argument_spec id_argument[] = {
	{ .name = "ADV", .type = OPTION_TEXT, .help = "the advertisement's id, such as LON20001" },
	{ 0 },
};

static const struct option_spec collection_options[] = {
	{ .name = "query",
	  .type = OPTION_TEXT,
	  .value = "SELECT",
	  .help = "a SELECT that yields client_id over the inventory tables" },
	{ .name = "member",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REPEATED,
	  .value = "CLIENT",
	  .help = "clients by id or name" },
	{ .name = "percent",
	  .type = OPTION_NUMBER,
	  .min = 1,
	  .max = 100,
	  .help = "only this share of them, always the same ones" },
	{ 0 },
};

static const struct option_spec advertise_options[] = {
	{ .name = "collection",
	  .type = OPTION_NAME,
	  .flags = OPTION_REQUIRED,
	  .help = "whom it is for" },
	{ .name = "mandatory",
	  .type = OPTION_TIME,
	  .value = "now|TIME",
	  .help = "run it by itself from then on; offered only if not given" },
	{ .name = "available", .type = OPTION_TIME, .help = "offer it from then on" },
	{ .name = "expires", .type = OPTION_TIME, .help = "start it no more from then on" },
	{ .name = "window", .type = OPTION_WINDOW, .help = "start it in these hours only" },
	{ .name = "version",
	  .type = OPTION_TEXT,
	  .value = "V|latest",
	  .help = "the package's version (latest)" },
	{ .name = "offer-to",
	  .type = OPTION_NAME,
	  .value = "GROUP",
	  .help = "users of this group may run it themselves" },
	{ 0 },
};

const struct verb site_offer_verbs[] = {
	{
		.name = "collection add",
		.run = run_collection_add,
		.summary = "name a set of clients, by a query or one by one",
		.arguments = name_argument,
		.options = collection_options,
	},
	{ .name = "collection list",
	  .run = run_collection_list,
	  .summary = "list the collections" },
	{
		.name = "collection show",
		.run = run_collection_show,
		.summary = "show a collection and the clients that are in it now",
		.arguments = name_argument,
	},
	{
		.name = "collection remove",
		.run = run_collection_remove,
		.summary = "remove a collection that no advertisement names",
		.arguments = name_argument,
	},
	{
		.name = "advertise",
		.run = run_advertise,
		.summary = "offer a program to a collection, or demand it",
		.arguments = advertise_arguments,
		.options = advertise_options,
	},
	{ .name = "advertisement list", .run = run_list, .summary = "list the advertisements" },
	{
		.name = "advertisement show",
		.run = run_show,
		.summary = "show one advertisement",
		.arguments = id_argument,
	},
	{
		.name = "advertisement stop",
		.run = run_stop,
		.summary = "let nothing new of it start",
		.arguments = id_argument,
	},
	{
		.name = "advertisement resume",
		.run = run_resume,
		.summary = "let it go on",
		.arguments = id_argument,
	},
	{
		.name = "advertisement remove",
		.run = run_remove,
		.summary = "take it out of policy",
		.arguments = id_argument,
	},
	{ 0 },
};
