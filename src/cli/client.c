#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/bundle.h"
#include "agent/control.h"
#include "agent/workroom.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/wire.h"

const struct config_key client_keys[] = {
	{ "state", CONFIG_PATH, STATE_DEFAULT, "folder of this client's state" },
	{ "address", CONFIG_TEXT, NULL,
	  "addresses to be known by, comma-separated, in place of the machine's own" },
	{ "name", CONFIG_TEXT, NULL, "name to be known by, in place of the host name" },
	{ "linger", CONFIG_DURATION, "2m", "how long a session stays open after its last use" },
	{ "poll", CONFIG_DURATION, NULL,
	  "time between two cycles of the agent; else the site says" },
	{ "quota", CONFIG_SIZE, "20GB", "content that the store keeps at most" },
	{ "mounts", CONFIG_PATH, NULL, "mount table to read in place of the kernel's" },
	{ "tls-ca", CONFIG_PATH, NULL, "file of certificates to trust beside the system's" },
	{ "worker-user", CONFIG_TEXT, WORKROOM_ACCOUNT_DEFAULT,
	  "account of root's workers, by name or number; root: they stay root" },
	{ "enroll-dir", CONFIG_PATH, BUNDLE_FOLDER_DEFAULT,
	  "folder of bundles that the agent enrols by at its start" },
	{ NULL },
};

void client_settings(struct job_settings *out, const struct config *config)
{
	*out = (struct job_settings){
		.linger_s = (uint32_t)config_number(config, "linger", 120),
		.address = config_text(config, "address"),
		.name = config_text(config, "name"),
		.mounts = config_text(config, "mounts"),
		.tls_ca = config_text(config, "tls-ca"),
		.worker_user = config_text(config, "worker-user"),
		.enroll_dir = config_text(config, "enroll-dir"),
		.quota_bytes = config_number(config, "quota", 0),
	};
}

bool client_open(struct client *c, struct verb_call *call, enum state_open_mode mode,
		 struct err *err)
{
	*c = (struct client){ .call = call, .content = -1, .passes = -1 };
	client_settings(&c->settings, call->config);
	return state_open(&c->state, config_text(call->config, "state"), mode, err);
}

bool client_open_guest(struct client *c, struct verb_call *call, struct err *err)
{
	int socket;

	if (client_open(c, call, STATE_READ, err))
		return true;
	if (err->code != ERR_PERMISSION)
		return false;
	c->state.dir = alloc_text(config_text(call->config, "state"));
	c->is_guest = client_reach_agent(&socket, c);
	if (c->is_guest)
		path_close_fd(&socket);
	else
		err_fix(err,
			"start the agent there (packway agent), or run the command as the owner");
	return c->is_guest;
}

void client_close(struct client *c)
{
	state_close(&c->state);
	path_close_fd(&c->content);
	c->content = -1;
}

json_t *client_request(const char *op)
{
	json_t *request = json_object();

	jsondoc_set_text(request, "op", op);
	return request;
}

bool client_reach_agent(int *socket_out, const struct client *c)
{
	SCOPED_TEXT char *path = state_socket_path(&c->state);

	return control_reach(socket_out, path, 0);
}

/* A record for people, with --verbose: what just happened. */
static void show_record(const json_t *record)
{
	const char *text = jsondoc_text(record, "text");

	if (text != NULL)
		log_debug("%s", text);
}

static bool on_event(const json_t *event, void *ctx)
{
	struct client *c = ctx;
	const char *kind = jsondoc_text(event, "event");

	if (kind == NULL)
		return true;
	if (strcmp(kind, "progress") == 0)
		progress_show(&c->progress, (uint64_t)jsondoc_int(event, "bytes", 0),
			      (uint64_t)jsondoc_int(event, "total", 0));
	else if (strcmp(kind, "record") == 0)
		show_record(json_object_get(event, "record"));
	else if (strcmp(kind, "note") == 0 && jsondoc_text(event, "text") != NULL)
		log_note("%s", jsondoc_text(event, "text"));
	return true;
}

static bool ask_agent(json_t **result_out, struct client *c, int socket, const json_t *request,
		      struct err *err)
{
	if (!wire_send_json(socket, request, c->passes, err))
		return false;
	for (;;) {
		json_auto_t *frame = NULL;
		enum wire_result got = wire_receive_json(&frame, &c->content, socket, -1, err);
		json_t *done, *fault;

		if (got == WIRE_END)
			return err_set(err, ERR_INTERRUPTED,
				       "the agent ended while it was working");
		if (got != WIRE_FRAME)
			return false;
		done = json_object_get(frame, "done");
		fault = json_object_get(frame, "error");
		if (fault != NULL)
			return jsondoc_take_error(err, fault);
		if (done != NULL) {
			*result_out = json_incref(done);
			return true;
		}
		on_event(frame, c);
	}
}

void client_job(struct job *out, struct client *c)
{
	*out = (struct job){
		.state = &c->state,
		.settings = &c->settings,
		.clock = c->call->clock,
		.worker = -1,
		.worker_token = -1,
		.caller = geteuid(),
		.event = on_event,
		.event_ctx = c,
	};
}

static bool ask_here(json_t **result_out, struct client *c, const json_t *request, struct err *err)
{
	struct job job;
	bool done;

	client_job(&job, c);
	done = job_run(result_out, &job, request, err);
	job_finish(&job);
	return done;
}

bool client_ask(json_t **result_out, struct client *c, json_t *request, struct err *err)
{
	json_auto_t *owned = request;
	SCOPED_FD int socket = -1;
	bool is_shown = !c->call->is_quiet && !print_is_json(c->call->print);
	bool done;

	progress_begin(&c->progress, jsondoc_text(request, "op"), c->call->clock, is_shown);
	done = client_reach_agent(&socket, c) ? ask_agent(result_out, c, socket, owned, err)
					      : ask_here(result_out, c, owned, err);
	progress_end(&c->progress);
	return done;
}
