/* explain and what-if: why clients read from where they read, and where they would. */
#include "cli/explain.h"
#include "cli/site_call.h"
#include "common/jsondoc.h"
#include "common/random.h"
#include "site/decisions.h"
#include "site/forecast.h"
#include "site/whatif.h"

/* Foreign: members may be missing. */
static void note_origin(struct print *p, const char *client, const json_t *decision)
{
	const char *package = jsondoc_text(decision, "package");
	const char *time = jsondoc_text(decision, "time");

	print_note(p, "this is what %s chose for %s at %s", client, package != NULL ? package : "?",
		   time != NULL ? time : "?");
}

static bool run_explain(struct verb_call *call, struct err *err)
{
	int64_t now_s = clock_wall_s(call->clock);
	const struct decisions_question q = {
		.client = options_text(call->options, "client"),
		.package = options_text(call->options, "package"),
		.at_s = options_time(call->options, "at", now_s, INT64_MAX),
	};
	SCOPED(site) struct site *site = NULL;
	json_auto_t *decision = NULL;

	if (!site_call_open(&site, call, err) || !decisions_find(&decision, site, &q, err))
		return err_what(err, "cannot explain");
	explain_print(call->print, decision);
	note_origin(call->print, q.client, decision);
	return true;
}

static const struct option_spec explain_options[] = {
	{ .name = "client",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REQUIRED,
	  .value = "ID",
	  .help = "the client's id or name" },
	{ .name = "package",
	  .type = OPTION_TEXT,
	  .value = "PKG",
	  .help = "about this package; the last one if not given" },
	{ .name = "at", .type = OPTION_TIME, .help = "the choice in force then (now)" },
	{ 0 },
};

static void set_question(json_t *doc, const struct standin_question *q)
{
	json_t *without = json_array();

	for (size_t i = 0; i < q->without_count; i++)
		json_array_append_new(without, jsondoc_new_text(q->without[i]));
	jsondoc_set(doc, "without", without);
}

static void print_notes(struct print *p, const json_t *notes)
{
	json_t *note;
	size_t i;

	if (json_array_size(notes) > 0)
		print_note(p, "assumed, and not known here:");
	json_array_foreach (notes, i, note)
		print_note(p, "- %s", json_string_value(note));
}

/* As `packway locate` prints and ends. */
static bool print_one(struct verb_call *call, json_t *decision, const struct standin_question *q)
{
	set_question(decision, q);
	explain_print(call->print, decision);
	print_notes(call->print, json_object_get(decision, "notes"));
	if (json_is_null(json_object_get(decision, "chosen")))
		call->exit = EXIT_NETWORK;
	return true;
}

static bool ask_one(struct verb_call *call, const struct standin *s, struct site *site,
		    const struct standin_question *q, struct err *err)
{
	const char *client = options_text(call->options, "client");
	json_auto_t *decision = NULL;
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	seed = options_number(call->options, "seed", seed);
	if (client != NULL && !whatif_client(&decision, s, site, client, seed, err))
		return false;
	if (client == NULL &&
	    !whatif_address(&decision, s, options_text(call->options, "address"), seed, err))
		return false;
	return print_one(call, decision, q);
}

static void print_forecast(struct print *p, const json_t *doc, const char *object)
{
	static const struct print_column servers[] = {
		{ "server" },
		{ "group" },
		{ "clients" },
		{ "percent", .title = "share %" },
		{ "bytes", PRINT_SIZE },
		{ "excluded" },
		{ 0 },
	};
	static const struct print_column links[] = {
		{ "from" }, { "to" },      { "crosses" },
		{ "tier" }, { "clients" }, { "bytes", PRINT_SIZE },
		{ 0 },
	};
	static const struct print_column waiting[] = {
		{ "group" }, { "clients" }, { "reason" }, { "minutes" }, { "because" }, { 0 },
	};
	int64_t clients = jsondoc_int(doc, "clients", 0);
	int64_t reading = jsondoc_int(doc, "reading", 0);

	print_result(p, doc, "%s: %lld of %lld clients could read now", object, (long long)reading,
		     (long long)clients);
	print_section(p, "servers", servers, json_object_get(doc, "servers"));
	print_section(p, "links between boundary groups", links, json_object_get(doc, "links"));
	if (json_array_size(json_object_get(doc, "waiting")) > 0)
		print_section(p, "waiting, or without any server", waiting,
			      json_object_get(doc, "waiting"));
}

static bool ask_all(struct verb_call *call, const struct standin *s, struct site *site,
		    const struct standin_question *q, struct err *err)
{
	json_auto_t *doc = NULL;

	if (!forecast_make(&doc, s, site, err))
		return false;
	set_question(doc, q);
	print_forecast(call->print, doc, q->package);
	print_notes(call->print, json_object_get(doc, "notes"));
	return true;
}

static bool run_what_if(struct verb_call *call, struct err *err)
{
	const struct options *o = call->options;
	bool by_client = options_given(o, "client"), by_address = options_given(o, "address");
	struct standin_question q = {
		.package = options_argument(o, 0),
		.policy = options_text(o, "policy"),
	};
	SCOPED(standin) struct standin *s = NULL;
	SCOPED(site) struct site *site = NULL;

	if (by_client && by_address)
		return err_set(err, ERR_USAGE, "what-if wants --client or --address, not both");
	q.without = options_all(o, "without", &q.without_count);
	if (!site_call_open(&site, call, err) || !standin_open(&s, site, &q, err))
		return err_what(err, "cannot tell where %s would be read", q.package);
	return (by_client || by_address ? ask_one(call, s, site, &q, err)
					: ask_all(call, s, site, &q, err)) ||
	       err_what(err, "cannot tell where %s would be read", q.package);
}

static const struct argument_spec what_if_arguments[] = {
	{ .name = "PKG",
	  .type = OPTION_TEXT,
	  .help = "a package's id, or cap for the choice of a CAP" },
	{ 0 },
};

static const struct option_spec what_if_options[] = {
	{ .name = "client",
	  .type = OPTION_TEXT,
	  .value = "ID",
	  .help = "for this client, by its id or name; all clients if not given" },
	{ .name = "address",
	  .type = OPTION_TEXT,
	  .value = "IP",
	  .help = "for a machine with this address that need not exist" },
	{ .name = "without",
	  .type = OPTION_TEXT,
	  .flags = OPTION_REPEATED,
	  .value = "SYSTEM",
	  .help = "as if this CAP or DP were down" },
	{ .name = "policy",
	  .type = OPTION_TEXT,
	  .value = "NAME",
	  .help = "as if everybody chose by that policy" },
	{ .name = "seed",
	  .type = OPTION_NUMBER,
	  .max = UINT64_MAX,
	  .value = "N",
	  .help = "seed of the draw among equals" },
	{ 0 },
};

const struct verb site_choice_verbs[] = {
	{
		.name = "explain",
		.run = run_explain,
		.summary = "why a client read from where it read",
		.options = explain_options,
	},
	{
		.name = "what-if",
		.run = run_what_if,
		.summary = "where clients would read a package: one of them, or all",
		.arguments = what_if_arguments,
		.options = what_if_options,
		.notes = "The choice is made by the client's own function over policy as the next "
			 "publish will write it.\n\nWithout --client and --address: clients per "
			 "server and bytes per link between boundary groups, as if every client "
			 "had to read the newest version whole.",
	},
	{ 0 },
};
