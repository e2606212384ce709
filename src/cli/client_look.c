/*
 * packway status, messages, inventory, doctor: how this client is.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/overview.h"
#include "cli/client.h"
#include "common/path.h"

static const struct print_column status_columns[] = {
	{ "client", PRINT_TEXT, NULL },
	{ "site", PRINT_TEXT, NULL },
	{ "state", PRINT_TEXT, NULL },
	{ "key", PRINT_TEXT, NULL },
	{ "privilege", PRINT_TEXT, NULL },
	{ "agent", PRINT_TEXT, NULL },
	{ "policy", PRINT_TEXT, NULL },
	{ "policy_version", PRINT_TEXT, NULL },
	{ "policy_expires", PRINT_TEXT, NULL },
	{ "clock", PRINT_TEXT, NULL },
	{ "verdict", PRINT_TEXT, "trust" },
	{ "verdict_attack", PRINT_TEXT, "as in an attack by" },
	{ "verdict_since", PRINT_TEXT, "since" },
	{ "verdict_server", PRINT_TEXT, "from" },
	{ "verdict_text", PRINT_TEXT, "why" },
	{ "last_refresh", PRINT_TEXT, NULL },
	{ "last_error", PRINT_TEXT, NULL },
	{ "restart_pending", PRINT_TEXT, NULL },
	{ "outbox_records", PRINT_TEXT, NULL },
	{ "outbox_why", PRINT_TEXT, "they wait for" },
	{ "leaks", PRINT_TEXT, NULL },
	{ NULL },
};

static bool verb_status(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *status = NULL;
	int socket;

	if (!client_open(&c, call, STATE_READ, err) ||
	    !overview_status(&status, &c.state, call->clock, err))
		return err_what(err, "cannot tell this client's status");
	if (client_reach_agent(&socket, &c)) {
		path_close_fd(&socket);
		jsondoc_set_text(status, "agent", "running");
	} else {
		jsondoc_set_text(status, "agent", "not running");
	}
	print_fields(call->print, status_columns, status);
	return true;
}

static const struct print_column message_columns[] = {
	{ "time", PRINT_TEXT, NULL },
	{ "id", PRINT_TEXT, NULL },
	{ "package", PRINT_TEXT, NULL },
	{ "program", PRINT_TEXT, NULL },
	{ "text", PRINT_TEXT, NULL },
	{ "sent", PRINT_TEXT, NULL },
	{ NULL },
};

static bool verb_messages(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *rows = NULL;

	if (!client_open(&c, call, STATE_READ, err) || !overview_messages(&rows, &c.state, err))
		return err_what(err, "cannot list this client's messages");
	print_table(call->print, message_columns, rows, "no message yet");
	return true;
}

static bool verb_inventory(struct verb_call *call, struct err *err)
{
	struct job_settings settings;
	json_auto_t *tables = NULL;

	client_settings(&settings, call->config);
	if (!overview_inventory(&tables, &settings, err))
		return err_what(err, "cannot take inventory");
	print_document(call->print, tables);
	return true;
}

static const struct print_column doctor_columns[] = {
	{ "check", PRINT_TEXT, NULL },
	{ "subject", PRINT_TEXT, NULL },
	{ "result", PRINT_TEXT, NULL },
	{ "text", PRINT_TEXT, NULL },
	{ NULL },
};

static bool verb_doctor(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *result = NULL;

	if (!client_open(&c, call, STATE_READ, err) ||
	    !client_ask(&result, &c, client_request("doctor"), err))
		return err_what(err, "cannot examine this client");
	print_table(call->print, doctor_columns, json_object_get(result, "checks"),
		    "nothing to check");
	if (jsondoc_int(result, "failed", 0) > 0)
		call->exit = EXIT_NETWORK;
	return true;
}

const struct verb client_verbs_look[] = {
	{ .name = "status", .run = verb_status, .summary = "how this client is" },
	{ .name = "messages", .run = verb_messages, .summary = "what happened here, in order" },
	{ .name = "inventory",
	  .run = verb_inventory,
	  .summary = "what the site is told of this machine" },
	{ .name = "doctor",
	  .run = verb_doctor,
	  .summary = "examine DNS, clock, proxy, certificates, disk, each CAP and DP" },
	{ NULL },
};
