/*
 * packway sync, agent, list, run: the work that the site wants done here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/overview.h"
#include "cli/client.h"
#include "common/alloc.h"
#include "common/helper.h"

static bool verb_sync(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *result = NULL;

	if (!client_open(&c, call, STATE_READ, err) ||
	    !client_ask(&result, &c, client_request("sync"), err))
		return err_what(err, "cannot complete the cycle");
	print_result(call->print, result, "%s: %lld ran, %lld wait, %lld records sent",
		     jsondoc_text(result, "state"), (long long)jsondoc_int(result, "ran", 0),
		     (long long)jsondoc_int(result, "waiting", 0),
		     (long long)jsondoc_int(result, "sent", 0));
	return true;
}

/* The supervisor is a program of its own, so that an idle agent holds nothing of this one. */
static bool verb_agent(struct verb_call *call, struct err *err)
{
	SCOPED_TEXT char *path = NULL;
	struct job_settings s;
	char linger[32], poll[32], quota[32];
	const char *argv[24];
	size_t n = 0;

	client_settings(&s, call->config);
	if (!helper_find(&path, "packway-agent", err))
		return err_what(err, "cannot start the agent");
	snprintf(linger, sizeof(linger), "%u", s.linger_s);
	snprintf(poll, sizeof(poll), "%llu",
		 (unsigned long long)config_number(call->config, "poll", 0));
	snprintf(quota, sizeof(quota), "%llu", (unsigned long long)s.quota_bytes);
	argv[n++] = path;
	argv[n++] = "--state";
	argv[n++] = config_text(call->config, "state");
	argv[n++] = "--linger";
	argv[n++] = linger;
	argv[n++] = "--poll";
	argv[n++] = poll;
	argv[n++] = "--quota";
	argv[n++] = quota;
#define PASS(flag, value)            \
	if ((value) != NULL) {       \
		argv[n++] = (flag);  \
		argv[n++] = (value); \
	}
	PASS("--address", s.address)
	PASS("--name", s.name)
	PASS("--mounts", s.mounts)
	PASS("--tls-ca", s.tls_ca)
	PASS("--worker-user", s.worker_user)
	PASS("--enroll-dir", s.enroll_dir)
#undef PASS
	argv[n] = NULL;
	execv(path, (char *const *)(uintptr_t)argv);
	return err_sys(err, ERR_IO, errno, "%s", path);
}

static const struct print_column list_columns[] = {
	{ "package", PRINT_TEXT, NULL }, { "program", PRINT_TEXT, NULL },
	{ "version", PRINT_TEXT, NULL }, { "advertisement", PRINT_TEXT, NULL },
	{ "state", PRINT_TEXT, NULL },   { "reason", PRINT_TEXT, NULL },
	{ "time", PRINT_TEXT, NULL },    { NULL },
};

static bool verb_list(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_auto_t *rows = NULL;

	if (!client_open(&c, call, STATE_READ, err) ||
	    !overview_list(&rows, &c.state, call->clock, err))
		return err_what(err, "cannot list what is offered to this client");
	print_table(call->print, list_columns, rows, "no program is offered to this client");
	return true;
}

static bool verb_run(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	json_t *request = client_request("run");
	json_auto_t *result = NULL;

	jsondoc_set_text(request, "package", options_argument(call->options, 0));
	jsondoc_set_text(request, "program", options_argument(call->options, 1));
	if (!client_open_guest(&c, call, err)) {
		json_decref(request);
		return false;
	}
	if (!client_ask(&result, &c, request, err))
		return err_what(err, "cannot run %s of %s", options_argument(call->options, 1),
				options_argument(call->options, 0));
	print_result(call->print, result, "%s: exit code %lld", jsondoc_text(result, "outcome"),
		     (long long)jsondoc_int(result, "exit", 0));
	return true;
}

static const struct argument_spec run_arguments[] = {
	{ "ID", OPTION_TEXT, 0, "package" },
	{ "PROGRAM", OPTION_NAME, 0, "one of its programs" },
	{ NULL },
};

const struct verb client_verbs_work[] = {
	{ .name = "sync",
	  .run = verb_sync,
	  .summary = "one cycle now: location, policy, due programs, uploads" },
	{ .name = "agent",
	  .run = verb_agent,
	  .summary = "the same on its schedule, and service for other commands" },
	{ .name = "list", .run = verb_list, .summary = "programs offered to this client" },
	{ .name = "run",
	  .run = verb_run,
	  .summary = "run an offered program now",
	  .arguments = run_arguments },
	{ NULL },
};
