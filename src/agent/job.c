#include "agent/job.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cycle.h"
#include "agent/jobs.h"
#include "agent/keeper.h"
#include "agent/mountpoint.h"
#include "agent/permit.h"
#include "agent/rekey.h"
#include "agent/workroom.h"
#include "common/alloc.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/wire.h"

#define WORKER_FD         3
#define WORKER_GRACE_MS   2000
#define WORKER_ARGS_MAX   20
#define OFFLINE_ANSWER_MS 3600000 /* it may have hundreds of gigabytes to read */

static const struct {
	const char *verb;
	job_verb_fn *run;
} verbs[] = {
	{ "sync", cycle_sync },    { "run", cycle_run },
	{ "enroll", jobs_enroll }, { "fetch", jobs_fetch },
	{ "locate", jobs_locate }, { "connections", jobs_connections },
	{ "doctor", jobs_doctor }, { "verify", jobs_verify },
	{ "probe", jobs_probe },   { "mount", mountpoint_serve },
	{ "rekey", rekey_run },    { "lease", jobs_lease },
};

bool job_run(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	const char *verb;

	if (!jsondoc_need_text(&verb, request, "op", err))
		return false;
	if (!permit_request(job->state, job->caller, request, err))
		return false;
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (strcmp(verbs[i].verb, verb) == 0)
			return verbs[i].run(result_out, job, request, err);
	return err_set(err, ERR_USAGE, "there is no request \"%s\"", verb);
}

struct argument_texts {
	char linger[16];
	char account[32]; /* "UID:GID"; empty: none */
	char guest[16];
};

/* Arguments that carry the settings; `texts` lives as long as the caller's frame. */
static void put_arguments(const char **argv, struct argument_texts *texts, const struct job *job,
			  const char *path, enum job_worker_kind kind)
{
	static const char *const modes[] = {
		[JOB_WORKER_NETWORK] = NULL,
		[JOB_WORKER_OFFLINE] = "--offline",
		[JOB_WORKER_KEEPER] = "--keep",
	};

	const struct job_settings *s = job->settings;
	size_t n = 0;

	snprintf(texts->linger, sizeof(texts->linger), "%u", s->linger_s);
	argv[n++] = path;
	argv[n++] = "--state";
	argv[n++] = job->state->dir;
	argv[n++] = "--linger";
	argv[n++] = texts->linger;
	if (modes[kind] != NULL)
		argv[n++] = modes[kind];
	if (s->address != NULL) {
		argv[n++] = "--address";
		argv[n++] = s->address;
	}
	if (s->mounts != NULL) {
		argv[n++] = "--mounts";
		argv[n++] = s->mounts;
	}
	if (s->tls_ca != NULL) {
		argv[n++] = "--tls-ca";
		argv[n++] = s->tls_ca;
	}
	if (texts->account[0] != '\0') {
		argv[n++] = "--account";
		argv[n++] = texts->account;
	}
	if (texts->guest[0] != '\0') {
		argv[n++] = "--guest";
		argv[n++] = texts->guest;
	}
	argv[n] = NULL;
}

/* Somebody may have emptied or removed a room since the worker was started. */
static bool give_rooms(struct workroom_account *account_out, const struct job *job, struct err *err)
{
	workroom_find(account_out, job->settings->worker_user);
	return workroom_give(job->state, account_out, err);
}

/* Whose account the worker takes on, and for whom alone it may act beyond its own. */
static bool print_account(struct argument_texts *out, const struct job *job,
			  enum job_worker_kind kind, struct err *err)
{
	struct workroom_account account;

	out->account[0] = out->guest[0] = '\0';
	if (!give_rooms(&account, job, err))
		return false;
	if (kind != JOB_WORKER_NETWORK || !account.changes)
		return true;
	snprintf(out->account, sizeof(out->account), "%u:%u", (unsigned int)account.uid,
		 (unsigned int)account.gid);
	if (permit_is_guest(job->caller))
		snprintf(out->guest, sizeof(out->guest), "%u", (unsigned int)job->caller);
	return true;
}

bool job_spawn_worker(int *socket_out, pid_t *pid_out, const struct job *job,
		      enum job_worker_kind kind, struct err *err)
{
	const char *argv[WORKER_ARGS_MAX];
	SCOPED_TEXT char *path = NULL;
	struct argument_texts texts;
	struct spawn s = {
		.argv = argv,
		.flags = SPAWN_NEW_GROUP | SPAWN_KEEP_STDERR | SPAWN_DIE_WITH_PARENT,
	};
	int pair[2];
	bool started;

	if (!helper_find(&path, "packway-worker", err) || !print_account(&texts, job, kind, err) ||
	    !wire_pair(pair, err))
		return false;
	put_arguments(argv, &texts, job, path, kind);
	s.fds = &(struct spawn_fd){ .from = pair[1], .to = WORKER_FD };
	s.fd_count = 1;
	started = spawn_start(pid_out, &s, err);
	close(pair[1]);
	if (!started) {
		close(pair[0]);
		return err_what(err, "cannot start %s", path);
	}
	*socket_out = pair[0];
	return true;
}

/* A record goes into the outbox before anybody hears of it; no room for it ends no work. */
static bool pass_event(struct job *job, json_t *event, int socket, struct err *err)
{
	const char *kind = jsondoc_text(event, "event");

	if (kind != NULL && strcmp(kind, "keeper") == 0 && socket == job->worker)
		return keeper_start(job, socket, err);
	if (kind != NULL && strcmp(kind, "record") == 0) {
		if (!jobs_record(job, json_incref(json_object_get(event, "record")), err))
			log_warn("a record is not kept: %s", err->why);
		return true;
	}
	if (job->event == NULL || job->event(event, job->event_ctx))
		return true;
	job->nobody_listens = true;
	return err_set(err, ERR_INTERRUPTED, "the command that asked has ended");
}

enum asked {
	ASKED_DONE,
	ASKED_REFUSED, /* the worker answered, with an error */
	ASKED_BROKEN,  /* there will be no answer on this line, or nobody to read it */
};

static enum asked take_answer(json_t **result_out, const json_t *frame, struct err *err)
{
	json_t *done = json_object_get(frame, "done");

	if (done == NULL) {
		(void)!jsondoc_take_error(err, json_object_get(frame, "error"));
		return ASKED_REFUSED;
	}
	*result_out = json_incref(done);
	return ASKED_DONE;
}

static void say_broken(enum wire_result how, int timeout_ms, struct err *err)
{
	if (how == WIRE_TIMEOUT)
		err_set(err, ERR_INTERRUPTED, "the worker gave no answer in %d s",
			timeout_ms / 1000);
	else if (how == WIRE_END || err->code == ERR_IO)
		err_set(err, ERR_INTERRUPTED, "the worker ended without an answer");
	else /* it was taken over, or is not what it should be: its bytes are no user's business */
		err_set(err, ERR_INTERRUPTED, "the worker's answer cannot be read");
}

/* Read events until the answer. `timeout_ms` is for the time between two frames. */
static enum asked read_answer(json_t **result_out, struct job *job, int socket, int timeout_ms,
			      struct err *err)
{
	for (;;) {
		json_auto_t *frame = NULL;
		enum wire_result got = wire_receive_json(&frame, NULL, socket, timeout_ms, err);

		if (got != WIRE_FRAME) {
			say_broken(got, timeout_ms, err);
			return ASKED_BROKEN;
		}
		if (json_object_get(frame, "done") != NULL ||
		    json_object_get(frame, "error") != NULL)
			return take_answer(result_out, frame, err);
		if (!pass_event(job, frame, socket, err))
			return ASKED_BROKEN;
	}
}

/* A keeper that was started ahead has its line go with the question. */
static bool send_question(struct job *job, const json_t *request, struct err *err)
{
	SCOPED_FD int givers = keeper_take_line(job);
	bool sent = wire_send_json(job->worker, request, givers, err);

	if (!sent)
		say_broken(WIRE_END, -1, err);
	return sent;
}

bool job_is_sharing(const struct job *job)
{
	return job->worker >= 0 && job->worker_pid == 0;
}

bool job_need_worker(struct job *job, struct err *err)
{
	return job->worker >= 0 ||
	       job_spawn_worker(&job->worker, &job->worker_pid, job, JOB_WORKER_NETWORK, err);
}

bool job_ask_worker(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	struct workroom_account account;

	if (!give_rooms(&account, job, err))
		return false;
	for (;;) {
		bool is_shared = job_is_sharing(job);
		enum asked asked;

		if (!job_need_worker(job, err))
			return false;
		asked = send_question(job, request, err)
				? read_answer(result_out, job, job->worker, -1, err)
				: ASKED_BROKEN;
		if (asked != ASKED_BROKEN)
			return asked == ASKED_DONE;
		/* What still comes on this line belongs to no question of ours. */
		job_finish(job);
		if (!is_shared || job->nobody_listens)
			return false;
		/* A shared worker may end for others' reasons; every request may be asked twice. */
		log_debug("the shared worker has ended; asking one of our own");
	}
}

/* Whoever begins says so, by any frame. */
static bool has_begun(int socket, int begin_ms)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };

	return poll(&p, 1, begin_ms) > 0;
}

bool job_ask_shared(json_t **result_out, struct job *job, const json_t *request, int begin_ms,
		    struct err *err)
{
	enum asked asked = ASKED_BROKEN;
	struct workroom_account account;

	assert(job_is_sharing(job));
	if (!give_rooms(&account, job, err))
		return false;
	if (send_question(job, request, err)) {
		if (has_begun(job->worker, begin_ms))
			asked = read_answer(result_out, job, job->worker, -1, err);
		else
			err_set(err, ERR_INTERRUPTED, "the agent's worker is at other work");
	}
	if (asked == ASKED_BROKEN)
		job_finish(job);
	return asked == ASKED_DONE;
}

static bool ask_child(json_t **result_out, struct job *job, enum job_worker_kind kind,
		      const json_t *request, struct err *err)
{
	int socket;
	pid_t pid;
	bool done = false;

	if (!job_spawn_worker(&socket, &pid, job, kind, err))
		return false;
	if (wire_send_json(socket, request, -1, err))
		done = read_answer(result_out, job, socket, OFFLINE_ANSWER_MS, err) == ASKED_DONE;
	else
		say_broken(WIRE_END, OFFLINE_ANSWER_MS, err);
	close(socket);
	spawn_stop(pid, WORKER_GRACE_MS);
	return done;
}

bool job_ask_offline(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	return ask_child(result_out, job, JOB_WORKER_OFFLINE, request, err);
}

void job_finish(struct job *job)
{
	keeper_end(job);
	path_close_fd(&job->worker);
	path_close_fd(&job->worker_token);
	/* The closed socket ends it; the signal is for one that hangs in a system call. */
	if (job->worker_pid != 0 &&
	    spawn_wait(NULL, job->worker_pid, WORKER_GRACE_MS) == SPAWN_RUNNING)
		spawn_stop(job->worker_pid, WORKER_GRACE_MS);
	job->worker = job->worker_token = -1;
	job->worker_pid = 0;
}
