#include "agent/keeper.h"

#include <string.h>
#include <unistd.h>

#include "agent/workroom.h"
#include "common/alloc.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/wire.h"

#define ANSWER_MS 60000 /* its work is done by then */
#define GRACE_MS  2000

void keeper_end(struct job *job)
{
	struct job_keeper *k = &job->keeper;

	if (k->pid == 0)
		return;
	path_close_fd(&k->socket);
	path_close_fd(&k->givers);
	/* It ends with the worker's line, which may be open still. */
	if (spawn_wait(NULL, k->pid, 0) == SPAWN_RUNNING)
		spawn_stop(k->pid, GRACE_MS);
	*k = (struct job_keeper){ 0 };
}

/* It has said that the version stands, and goes on to flush it, whether anybody waits or not. */
static void let_settle(struct job *job)
{
	struct job_keeper *k = &job->keeper;

	path_close_fd(&k->socket);
	path_close_fd(&k->givers);
	job->settling = k->pid;
	*k = (struct job_keeper){ 0 };
}

void keeper_reap(struct job *job)
{
	if (job->settling != 0)
		(void)spawn_wait(NULL, job->settling, -1);
	job->settling = 0;
}

static bool send_memory(int socket, int memory, struct err *err)
{
	json_auto_t *frame = json_object();

	return wire_send_json(socket, frame, memory, err);
}

/* A child with one end of a pair; the other is the worker's, once it asks. */
static bool start(struct job *job, struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "build");
	struct job_keeper *k = &job->keeper;
	int pair[2];
	bool done;

	jsondoc_set_int(request, "quota", (int64_t)job->settings->quota_bytes);
	jsondoc_set_flag(request, "recent", job->recent != 0);
	if (!wire_pair(pair, err))
		return false;
	done = job_spawn_worker(&k->socket, &k->pid, job, JOB_WORKER_KEEPER, err);
	k->givers = pair[1];
	done = done && wire_send_json(k->socket, request, pair[0], err) &&
	       (job->recent == 0 || send_memory(k->socket, job->recent, err));
	close(pair[0]);
	if (done)
		return true;
	path_close_fd(&k->givers);
	keeper_end(job);
	return false;
}

int keeper_take_line(struct job *job)
{
	struct job_keeper *k = &job->keeper;
	int givers = k->pid != 0 ? k->givers : -1;

	if (k->pid != 0)
		k->givers = -1;
	return givers;
}

bool keeper_start(struct job *job, int worker, struct err *err)
{
	struct job_keeper *k = &job->keeper;
	json_auto_t *reply = json_object();
	struct err why = { 0 };
	int givers = -1;
	bool done;

	if (k->pid != 0 && k->givers < 0)
		keeper_end(job);
	if (k->pid != 0 || start(job, &why))
		givers = keeper_take_line(job);
	else
		jsondoc_set(reply, "error", jsondoc_new_error(&why));
	done = wire_send_json(worker, reply, givers, err);
	path_close_fd(&givers);
	return done;
}

/* It takes as long to start as the worker to know that it needs one; for what is here already there
 * is no need. */
static void start_ahead(struct job *job, const json_t *question)
{
	SCOPED_TEXT char *store = state_path(job->state, "store");
	SCOPED_TEXT char *tree = alloc_printf("%s/%s/%lld", store,
					      jsondoc_text(question, "package"),
					      (long long)jsondoc_int(question, "version", 0));
	struct workroom_account account;
	struct err ignored = { 0 };

	workroom_find(&account, job->settings->worker_user);
	/* The worker first: it has more to do before content comes. */
	if (account.changes && job->keeper.pid == 0 && !path_exists(tree))
		(void)!(job_need_worker(job, &ignored) && start(job, &ignored));
}

/* Where the question names no version, it is for the worker to say which. */
static int64_t version_of(const json_t *answer, const json_t *question)
{
	int64_t version = jsondoc_int(question, "version", 0);

	return version != 0 ? version : jsondoc_int(answer, "version", 0);
}

static bool is_asked(const json_t *built, const json_t *answer, const json_t *question)
{
	const char *got = jsondoc_text(built, "package");
	const char *want = jsondoc_text(question, "package");

	return got != NULL && want != NULL && strcmp(got, want) == 0 &&
	       jsondoc_int(built, "version", 0) == version_of(answer, question);
}

/* The keeper's own word, which nobody else's stands for. */
static bool confirm(struct job *job, const json_t *answer, const json_t *question, struct err *err)
{
	struct job_keeper *k = &job->keeper;
	json_auto_t *frame = NULL;

	if (k->pid == 0 || wire_receive_json(&frame, NULL, k->socket, ANSWER_MS, err) != WIRE_FRAME)
		return err_set(err, ERR_INTERRUPTED,
			       "the worker says that it is built, and the keeper does not");
	if (json_object_get(frame, "error") != NULL)
		return jsondoc_take_error(err, json_object_get(frame, "error"));
	if (!is_asked(json_object_get(frame, "done"), answer, question))
		return err_set(err, ERR_INTERRUPTED,
			       "the worker had another version built than was asked for");
	let_settle(job);
	return true;
}

/* Where it stands is known here, and no word of a worker's: a program is run from there. */
static bool settle(json_t *answer, const struct job *job, const json_t *question, struct err *err)
{
	const char *package = jsondoc_text(question, "package");
	SCOPED_TEXT char *store = state_path(job->state, "store");
	SCOPED_TEXT char *path = NULL;

	(void)json_object_del(answer, "built");
	if (json_object_get(answer, "path") == NULL)
		return true;
	if (package == NULL)
		return err_set(err, ERR_INTERRUPTED, "the worker names a place for no package");
	path = alloc_printf("%s/%s/%lld", store, package, (long long)version_of(answer, question));
	jsondoc_set_text(answer, "path", path);
	return path_exists(path) ||
	       err_set(err, ERR_INTERRUPTED, "the worker says that %s is there, and it is not",
		       path);
}

bool keeper_ask(json_t **result_out, struct job *job, const json_t *question, keeper_ask_fn *ask,
		struct err *err)
{
	/* A mount goes on with its own, even after a failure: its worker has the line to it. */
	bool is_fetch = strcmp(jsondoc_text(question, "op"), "fetch") == 0;
	json_auto_t *answer = NULL;
	bool done;

	/* Now, while nobody waits for an answer of ours: one flushes at a time. */
	keeper_reap(job);
	if (is_fetch && jsondoc_text(question, "package") != NULL)
		start_ahead(job, question);
	done = ask(&answer, job, question, err) &&
	       (!jsondoc_flag(answer, "built", false) || confirm(job, answer, question, err));
	if (is_fetch)
		keeper_end(job);
	if (!done || !settle(answer, job, question, err))
		return false;
	*result_out = json_incref(answer);
	return true;
}
