#include "agent/run.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/orphan.h"
#include "agent/reap.h"
#include "common/alloc.h"
#include "common/message.h"
#include "common/path.h"
#include "common/spawn.h"

#define JOURNAL_WAIT_MS   30000
#define LOOK_FIRST_MS     50    /* between two looks at a running program, at first … */
#define LOOK_MAX_MS       2000  /* … and at one that takes its time */
#define REAPER_TIMEOUT_MS 30000 /* for the first generation of the reaper, which only forks */

/* Members of an assignment that an intent repeats. */
static const char *const repeated[] = {
	"advertisement", "serial",  "package", "version", "program", "command",
	"timeout_s",     "success", "restart", "as",      "grace_s",
};

static json_t *new_intent(const struct run_request *request)
{
	json_t *intent = json_object();

	jsondoc_set_int(intent, "format", 1);
	for (size_t i = 0; i < COUNT_OF(repeated); i++) {
		json_t *value = json_object_get(request->assignment, repeated[i]);

		if (value != NULL)
			jsondoc_set(intent, repeated[i], json_incref(value));
	}
	jsondoc_set_text(intent, "content", request->content);
	jsondoc_set_text(intent, "client", request->client);
	jsondoc_set_text(intent, "way", request->way);
	return intent;
}

/* The lock goes over with the start; only after that is ours closed. */
static bool start_reaper(const char *reaper, const char *folder, int lock, int pin, struct err *err)
{
	SCOPED_TEXT char *absolute = folder[0] == '/' ? alloc_text(folder) : NULL;
	const struct spawn_fd fds[] = { { lock, REAP_LOCK_FD }, { pin, REAP_PIN_FD } };
	struct spawn s = {
		.argv = (const char *const[]){ reaper, REAP_OPTION, folder, NULL },
		.fds = fds,
		.fd_count = pin >= 0 ? COUNT_OF(fds) : 1,
		.flags = SPAWN_NEW_SESSION,
	};
	int status = 0;
	pid_t pid;

	assert(absolute != NULL); /* the reaper works in / */
	if (!spawn_start(&pid, &s, err))
		return false;
	/* SPAWN_GONE: a caller that reaps all its children was faster; the run is on its way. */
	if (spawn_wait(&status, pid, REAPER_TIMEOUT_MS) == SPAWN_RUNNING || status == 0)
		return true;
	return err_set(err, ERR_IO, "%s %s ended with status %d", reaper, REAP_OPTION, status);
}

static enum run_start refuse(enum journal_begin why)
{
	static const enum run_start answers[] = {
		[JOURNAL_HAS_RUN] = RUN_HAS_RUN,
		[JOURNAL_IS_BUSY] = RUN_IS_BUSY,
		[JOURNAL_FAULT] = RUN_FAULT,
	};

	return answers[why];
}

enum run_start run_start(struct journal *j, const struct run_request *request,
			 const struct clock *clock, struct err *err)
{
	json_auto_t *intent = new_intent(request);
	SCOPED_TEXT char *folder = NULL;
	enum journal_begin begun;
	int lock;

	begun = journal_begin(&folder, &lock, j, intent, request->again, clock_wall_s(clock), err);
	if (begun != JOURNAL_BEGUN)
		return refuse(begun);
	if (!start_reaper(request->reaper, folder, lock, request->pin, err)) {
		/* A first generation that was killed may have left a second, which runs it. */
		if (!journal_abandon(folder, lock))
			return RUN_STARTED;
		err_what(err, "cannot start %s", jsondoc_text(intent, "program"));
		return RUN_FAULT;
	}
	close(lock);
	return RUN_STARTED;
}

/* Records. */

static const struct {
	enum message_id id;
	const char *text;
} endings[] = {
	[JOURNAL_SUCCEEDED] = { MESSAGE_SUCCEEDED, "succeeded" },
	[JOURNAL_SUCCEEDED_RESTART] = { MESSAGE_SUCCEEDED, "succeeded, a restart is pending" },
	[JOURNAL_FAILED] = { MESSAGE_FAILED, "failed" },
	[JOURNAL_TIMED_OUT] = { MESSAGE_FAILED, "failed: ended at its time limit" },
	[JOURNAL_NOT_STARTED] = { MESSAGE_NOT_STARTED, "could not start" },
	[JOURNAL_INTERRUPTED] = { MESSAGE_INTERRUPTED, "interrupted" },
};
static_assert(COUNT_OF(endings) == JOURNAL_OUTCOME_COUNT_, "every outcome has a record");

static json_t *new_record(enum message_id id, const struct journal_run *run, int64_t time_s,
			  const char *text)
{
	const struct message_about about = {
		.advertisement = run->advertisement,
		.package = run->package[0] != '\0' ? run->package : NULL,
		.version = run->version,
		.program = run->program[0] != '\0' ? run->program : NULL,
	};
	json_t *data = json_object();

	jsondoc_set_int(data, "serial", (int64_t)run->serial);
	jsondoc_set_int(data, "attempt", run->attempt);
	return message_new(id, time_s, &about, json_string(text), data);
}

static char *new_key(const struct journal_run *run, enum message_id id)
{
	return alloc_printf("%s-%" PRIu64 "-%u/%d", run->advertisement, run->serial, run->attempt,
			    id);
}

static bool tell_start(struct journal *j, const struct journal_run *run, run_record_fn *record,
		       void *ctx, struct err *err)
{
	json_auto_t *told = new_record(MESSAGE_STARTED, run, run->started_s, "started");
	SCOPED_TEXT char *key = new_key(run, MESSAGE_STARTED);

	return record(told, key, ctx, err) && journal_mark_told(j, run, err);
}

static void copy_member(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value != NULL)
		jsondoc_set(to, key, json_incref(value));
}

static json_t *new_ending(const struct journal_run *run, const json_t *result, int64_t now_s)
{
	static const char *const copied[] = { "exit",   "signal",       "ms",
					      "output", "output_bytes", "timed_out",
					      "error",  "code",         "leftovers_ended" };
	SCOPED_TEXT char *text = NULL;
	const char *why = jsondoc_text(result, "error");
	json_t *record, *data;

	if (run->outcome == JOURNAL_INTERRUPTED && run->overdue)
		text = alloc_text("interrupted: its parent was killed, and it was ended at its "
				  "time limit");
	else if (why != NULL)
		text = alloc_printf("%s: %s", endings[run->outcome].text, why);
	else if (run->outcome == JOURNAL_FAILED)
		text = alloc_printf("failed with %s %d", run->code > 128 ? "signal" : "exit code",
				    run->code > 128 ? run->code - 128 : run->code);
	else
		text = alloc_text(endings[run->outcome].text);
	record = new_record(endings[run->outcome].id, run, run->ended_s != 0 ? run->ended_s : now_s,
			    text);
	data = json_object_get(record, "data");
	for (size_t i = 0; i < COUNT_OF(copied); i++)
		copy_member(data, result, copied[i]);
	if (endings[run->outcome].id == MESSAGE_SUCCEEDED)
		jsondoc_set_flag(data, "restart_pending",
				 run->outcome == JOURNAL_SUCCEEDED_RESTART);
	return record;
}

static bool tell_end(struct journal *j, const struct journal_run *run, const struct clock *clock,
		     run_record_fn *record, void *ctx, struct err *err)
{
	json_auto_t *intent = NULL, *result = NULL, *told = NULL;
	SCOPED_TEXT char *key = new_key(run, endings[run->outcome].id);
	struct err ignored;

	/* Damaged documents were warned of when the run was loaded; its outcome is told anyway. */
	(void)!journal_read(&intent, &result, j, run, &ignored);
	told = new_ending(run, result, clock_wall_s(clock));
	return record(told, key, ctx, err) && journal_settle(j, run, err);
}

/* Until execve has worked, a run that is on its way may still turn out as not started. */
static bool was_started(const struct journal_run *run)
{
	if (run->phase == JOURNAL_RUNNING)
		return run->executed;
	return run->started_s != 0 && run->outcome != JOURNAL_NOT_STARTED;
}

static bool tell(struct run_summary *out, struct journal *j, const struct journal_run *run,
		 const struct clock *clock, run_record_fn *record, void *ctx, struct err *err)
{
	bool is_running = run->phase == JOURNAL_RUNNING;

	out->running += is_running;
	if (was_started(run) && !run->started_told && !tell_start(j, run, record, ctx, err))
		return false;
	if (is_running)
		return true;
	if (!tell_end(j, run, clock, record, ctx, err))
		return false;
	out->ended++;
	return true;
}

/* A run that nobody else ends when its time is over. */
static void tend(const struct journal *j, const struct journal_run *run)
{
	SCOPED_TEXT char *folder = journal_folder(j, run);
	json_auto_t *intent = NULL, *result = NULL;
	struct err ignored;

	if (orphan_is_alone(folder) && journal_read(&intent, &result, j, run, &ignored))
		(void)orphan_tend(folder, intent, orphan_boot_ms());
}

bool run_load(struct journal_list *out, const struct journal *j, struct err *err)
{
	if (!journal_load(out, j, err))
		return false;
	for (size_t i = 0; i < out->count; i++)
		if (out->runs[i].phase == JOURNAL_RUNNING)
			tend(j, &out->runs[i]);
	return true;
}

void run_pause(unsigned int *look_ms)
{
	unsigned int ms = *look_ms == 0 ? LOOK_FIRST_MS : *look_ms + *look_ms / 8;
	struct timespec pause;

	*look_ms = MIN_OF(ms, (unsigned int)LOOK_MAX_MS);
	pause = (struct timespec){ .tv_sec = *look_ms / 1000,
				   .tv_nsec = *look_ms % 1000 * 1000000L };
	nanosleep(&pause, NULL);
}

static bool load_from(struct journal_list *out, const char *dir, struct err *err)
{
	SCOPED(journal) struct journal journal = JOURNAL_CLOSED;

	return journal_open(&journal, dir, JOURNAL_WAIT_MS, err) && run_load(out, &journal, err);
}

static bool is_running(const struct journal_list *list, const struct run_key *only)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct journal_run *run = &list->runs[i];

		if (run->phase == JOURNAL_RUNNING &&
		    (only == NULL || (run->serial == only->serial &&
				      strcmp(run->advertisement, only->advertisement) == 0)))
			return true;
	}
	return false;
}

bool run_wait(const char *dir, const struct run_key *only, uint64_t limit_ms,
	      const struct clock *clock, struct err *err)
{
	uint64_t began_ms = clock_mono_ms(clock);
	unsigned int look_ms = 0;

	for (;;) {
		SCOPED(journal_list) struct journal_list list = { 0 };

		if (!load_from(&list, dir, err))
			return false;
		if (!is_running(&list, only))
			return true;
		if (clock_mono_ms(clock) - began_ms >= limit_ms) {
			err_set(err, ERR_LOCKED, "another program of this client runs");
			return err_fix(err, "wait for its end; packway list shows it");
		}
		run_pause(&look_ms);
	}
}

bool run_collect(struct run_summary *out, struct journal *j, const struct clock *clock,
		 run_record_fn *record, void *ctx, struct err *err)
{
	SCOPED(journal_list) struct journal_list list = { 0 };
	bool all_told = true;

	*out = (struct run_summary){ 0 };
	if (!run_load(&list, j, err))
		return false;
	for (size_t i = 0; i < list.count; i++) {
		const struct journal_run *run = &list.runs[i];
		struct err failed;

		if (run->settled || run->phase == JOURNAL_UNSTARTED ||
		    tell(out, j, run, clock, record, ctx, &failed))
			continue;
		if (all_told)
			*err = failed;
		all_told = false;
	}
	return all_told;
}
