/*
 * packway locate, explain, connections, probe: which server, over which way, and why.
 */
#include <string.h>

#include "agent/choices.h"
#include "cli/client.h"
#include "cli/explain.h"
#include "common/log.h"
#include "common/path.h"
#include "nal/conntab.h"
#include "nal/probe.h"

static bool verb_locate(struct verb_call *call, struct err *err)
{
	const struct options *o = call->options;
	const char *id = options_argument(o, 0);
	bool cap = options_flag(o, "cap");
	SCOPED(client) struct client c = { 0 };
	json_auto_t *request = client_request("locate");
	json_auto_t *decision = NULL;

	if (cap == (id != NULL))
		return err_set(err, ERR_USAGE,
			       "locate wants a package's ID or --cap, and not both");
	jsondoc_set_text(request, "kind", cap ? "cap" : "dp");
	if (id != NULL)
		jsondoc_set_text(request, "package", id);
	if (options_given(o, "policy"))
		jsondoc_set_text(request, "policy", options_text(o, "policy"));
	if (options_given(o, "seed"))
		jsondoc_set_int(request, "seed", (int64_t)options_number(o, "seed", 0));
	if (!client_open_guest(&c, call, err) ||
	    !client_ask(&decision, &c, json_incref(request), err))
		return err_what(err, "cannot choose a server for %s", cap ? "policy" : id);
	explain_print(call->print, decision);
	/* A choice that chose nothing is told by the exit code as well. */
	if (json_is_null(json_object_get(decision, "chosen")))
		call->exit = EXIT_NETWORK;
	return true;
}

static bool verb_explain(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *decision = NULL;

	if (!client_open(&c, call, STATE_READ, err) ||
	    !choices_load(&decision, &c.state, options_argument(call->options, 0), err))
		return err_what(err, "cannot explain");
	explain_print(call->print, decision);
	return true;
}

static const struct print_column connection_columns[] = {
	{ "way", PRINT_TEXT, NULL },      { "server", PRINT_TEXT, NULL },
	{ "share", PRINT_TEXT, NULL },    { "context", PRINT_TEXT, NULL },
	{ "at", PRINT_TEXT, NULL },       { "fstype", PRINT_TEXT, NULL },
	{ "evidence", PRINT_TEXT, NULL }, { "hung", PRINT_TEXT, NULL },
	{ "owner", PRINT_TEXT, NULL },    { "leases", PRINT_TEXT, NULL },
	{ "opened", PRINT_TEXT, NULL },   { "last_used", PRINT_TEXT, NULL },
	{ "requests", PRINT_TEXT, NULL }, { NULL },
};

static bool verb_connections(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *result = NULL;

	if (!client_open_guest(&c, call, err) ||
	    !client_ask(&result, &c, client_request("connections"), err))
		return err_what(err, "cannot list connections");
	print_table(call->print, connection_columns, json_object_get(result, "connections"),
		    "nothing is open: no session, no mount of a known server");
	return true;
}

static const struct print_column probe_columns[] = {
	{ "rung", PRINT_TEXT, NULL },
	{ "class", PRINT_TEXT, NULL },
	{ "ms", PRINT_TEXT, NULL },
	{ NULL },
};

/* What somebody typed is no file that was damaged. Returns false always. */
static bool typed_wrong(struct err *err)
{
	if (err->code == ERR_FORMAT)
		err->code = ERR_USAGE;
	return false;
}

/* Needs no state: a connection table of its own, without a past. */
static json_t *probe_once(const struct locator *where, const char *tls_ca)
{
	struct conntab_options options = CONNTAB_OPTIONS_DEFAULT;
	const struct way_target target = { .where = where, .marker = WAY_MARKER_IF_PRESENT };
	SCOPED(conntab) struct conntab *tab = NULL;
	struct probe probe;

	options.linger_ms = 0;
	options.limits.tls_ca_file = tls_ca;
	tab = conntab_new(&options);
	probe_run(&probe, tab, &target);
	return probe_json(&probe, where->text);
}

/*
 * The agent of this state, where one listens and this user may ask it: it may have a session open
 * to that server, and then none is to be made. NULL: it is for this process to look.
 */
static json_t *probe_by_agent(struct verb_call *call, const char *text)
{
	SCOPED(client) struct client c = { .content = -1 };
	json_t *request, *result = NULL;
	SCOPED_FD int socket = -1;
	struct err err;

	if (!client_open(&c, call, STATE_READ, &err) || !client_reach_agent(&socket, &c))
		return NULL;
	request = client_request("probe");
	jsondoc_set_text(request, "locator", text);
	if (!client_ask(&result, &c, request, &err)) {
		log_debug("the agent does not probe: %s", err.why);
		return NULL;
	}
	return result;
}

static bool verb_probe(struct verb_call *call, struct err *err)
{
	const char *text = options_argument(call->options, 0);
	SCOPED(locator) struct locator where = { 0 };
	json_auto_t *result = NULL;
	const json_t *present;

	if (!locator_parse_argument(&where, text, err))
		return typed_wrong(err) || err_what(err, "cannot probe %s", text);
	result = probe_by_agent(call, text);
	if (result == NULL)
		result = probe_once(&where, config_text(call->config, "tls-ca"));
	present = json_object_get(result, "present");
	print_result(call->print, result, "%s is %s (rung %s)", text,
		     json_is_true(present)    ? "present"
		     : json_is_false(present) ? "absent"
					      : "not known to be present",
		     jsondoc_text(result, "rung"));
	if (!print_is_json(call->print))
		print_section(call->print, "steps", probe_columns,
			      json_object_get(result, "steps"));
	if (!json_is_true(present))
		call->exit = EXIT_NETWORK;
	return true;
}

static const struct argument_spec locate_arguments[] = {
	{ "ID", OPTION_TEXT, ARGUMENT_OPTIONAL, "package" },
	{ NULL },
};
static const struct option_spec locate_options[] = {
	{ .name = "cap", .type = OPTION_FLAG, .help = "choose a CAP" },
	{ .name = "policy", .type = OPTION_TEXT, .value = "NAME", .help = "choose by that policy" },
	{ .name = "seed",
	  .type = OPTION_NUMBER,
	  .max = UINT64_MAX,
	  .value = "N",
	  .help = "seed of the draw among equals" },
	{ NULL },
};
static const struct argument_spec explain_arguments[] = {
	{ "DECISION", OPTION_TEXT, ARGUMENT_OPTIONAL,
	  "a decision's id, or a package; the last one if not said" },
	{ NULL },
};
static const struct argument_spec probe_arguments[] = {
	{ "LOCATOR", OPTION_TEXT, 0, "address of a server or folder" },
	{ NULL },
};
const struct verb client_verbs_choice[] = {
	{ .name = "locate",
	  .run = verb_locate,
	  .summary = "the choice that would be made now, and why",
	  .arguments = locate_arguments,
	  .options = locate_options },
	{ .name = "explain",
	  .run = verb_explain,
	  .summary = "the choice that was made",
	  .arguments = explain_arguments },
	{ .name = "connections",
	  .run = verb_connections,
	  .summary = "sessions, mounts and other ways that are open" },
	{ .name = "probe",
	  .run = verb_probe,
	  .summary = "presence of a server, rung by rung",
	  .arguments = probe_arguments },
	{ NULL },
};
