#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal.h"
#include "common/alloc.h"
#include "common/bootid.h"
#include "common/path.h"

#define NOW 1763822617

static int make_dir(void **state)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/test_journal-XXXXXX");
	*state = mkdtemp(dir);
	return *state == NULL;
}

static int remove_dir(void **state)
{
	struct err err;

	return path_remove_tree(*state, &err) ? 0 : 1;
}

static json_t *intent_for(const char *advertisement, int serial)
{
	json_t *intent = json_object();

	jsondoc_set_text(intent, "advertisement", advertisement);
	jsondoc_set_int(intent, "serial", serial);
	jsondoc_set_text(intent, "package", "LON00001");
	jsondoc_set_int(intent, "version", 2);
	jsondoc_set_text(intent, "program", "install");
	jsondoc_set(intent, "restart", json_pack("[i]", 3010));
	return intent;
}

static void put_file(const char *folder, const char *name, const char *text)
{
	SCOPED_TEXT char *path = path_join(folder, name);
	SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct err err;

	assert_done(path_write_fd(fd, span_of_text(text), &err), &err);
}

/* Begin, and play the part of the run's processes: they leave these files and let the lock go. */
static enum journal_begin play(const char *dir, const char *started, const char *result,
			       enum journal_again again)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED_TEXT char *folder = NULL;
	json_auto_t *intent = intent_for("LON20001", 1);
	enum journal_begin begun;
	struct err err;
	int lock;

	assert_done(journal_open(&j, dir, 0, &err), &err);
	begun = journal_begin(&folder, &lock, &j, intent, again, NOW, &err);
	if (begun != JOURNAL_BEGUN)
		return begun;
	if (started != NULL)
		put_file(folder, "started", started);
	if (result != NULL)
		put_file(folder, "result", result);
	close(lock);
	return begun;
}

static struct journal_run only_run(const char *dir)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED(journal_list) struct journal_list list = { 0 };
	struct err err;

	assert_done(journal_open(&j, dir, 0, &err), &err);
	assert_done(journal_load(&list, &j, &err), &err);
	assert_int_equal(list.count, 1);
	return list.runs[0];
}

static void settle_all(const char *dir)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED(journal_list) struct journal_list list = { 0 };
	struct err err;

	assert_done(journal_open(&j, dir, 0, &err), &err);
	assert_done(journal_load(&list, &j, &err), &err);
	for (size_t i = 0; i < list.count; i++)
		if (list.runs[i].phase == JOURNAL_ENDED)
			assert_done(journal_settle(&j, &list.runs[i], &err), &err);
}

static void what_is_left_tells_the_state(void **state)
{
	static const struct {
		const char *why, *started, *result;
		enum journal_phase phase;
		enum journal_outcome outcome;
		int code;
	} cases[] = {
		{ "no start: safe to run", NULL, NULL, JOURNAL_UNSTARTED, JOURNAL_NONE, -1 },
		{ "an empty start is none", "", NULL, JOURNAL_UNSTARTED, JOURNAL_NONE, -1 },
		{ "start without result", "1 b\n", NULL, JOURNAL_ENDED, JOURNAL_INTERRUPTED, -1 },
		{ "a torn start counts", "1", NULL, JOURNAL_ENDED, JOURNAL_INTERRUPTED, -1 },
		{ "success", "1", "{\"exit\":0}", JOURNAL_ENDED, JOURNAL_SUCCEEDED, 0 },
		{ "failure", "1", "{\"exit\":7}", JOURNAL_ENDED, JOURNAL_FAILED, 7 },
		{ "restart", "1", "{\"exit\":3010}", JOURNAL_ENDED, JOURNAL_SUCCEEDED_RESTART,
		  3010 },
		{ "signal", "1", "{\"signal\":9}", JOURNAL_ENDED, JOURNAL_FAILED, 137 },
		{ "timeout", "1", "{\"signal\":15,\"timed_out\":true}", JOURNAL_ENDED,
		  JOURNAL_TIMED_OUT, 143 },
		{ "no execve", "1", "{\"error\":\"gone\"}", JOURNAL_ENDED, JOURNAL_NOT_STARTED,
		  -1 },
		{ "a damaged result is none", "1", "{\"exit\":", JOURNAL_ENDED, JOURNAL_INTERRUPTED,
		  -1 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct journal_run run;
		struct err err;

		assert_int_equal(play(*state, cases[i].started, cases[i].result, JOURNAL_ALWAYS),
				 JOURNAL_BEGUN);
		run = only_run(*state);
		if (run.phase != cases[i].phase || run.outcome != cases[i].outcome ||
		    run.code != cases[i].code)
			fail_msg("%s: phase %d, outcome %s, code %d", cases[i].why, run.phase,
				 journal_outcome_name(run.outcome), run.code);
		assert_string_equal(run.program, "install");
		assert_true(path_remove_tree(*state, &err));
	}
}

static void a_held_lock_means_running(void **state)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED_TEXT char *folder = NULL;
	json_auto_t *intent = intent_for("LON20001", 1);
	struct err err;
	int lock;

	assert_done(journal_open(&j, *state, 0, &err), &err);
	assert_int_equal(journal_begin(&folder, &lock, &j, intent, JOURNAL_ONCE, NOW, &err),
			 JOURNAL_BEGUN);
	journal_close(&j);
	assert_int_equal(only_run(*state).phase, JOURNAL_RUNNING);
	assert_int_equal(play(*state, NULL, NULL, JOURNAL_ALWAYS), JOURNAL_IS_BUSY);
	put_file(folder, "started", "1 x\n");
	assert_int_equal(only_run(*state).phase, JOURNAL_RUNNING);
	assert_false(only_run(*state).executed); /* execve may still fail */
	put_file(folder, "started", "1 x\n" JOURNAL_EXECUTED);
	assert_true(only_run(*state).executed);
	close(lock);
	assert_int_equal(only_run(*state).outcome, JOURNAL_INTERRUPTED);
}

/* KB Q229018, Q262824: a run that happened must not happen again. */
static void run_once_means_once(void **state)
{
	static const struct {
		const char *why, *result;
		enum journal_again again;
		enum journal_begin want;
	} cases[] = {
		{ "never, succeeded", "{\"exit\":0}", JOURNAL_ONCE, JOURNAL_HAS_RUN },
		{ "never, failed", "{\"exit\":1}", JOURNAL_ONCE, JOURNAL_HAS_RUN },
		{ "never, interrupted", NULL, JOURNAL_ONCE, JOURNAL_HAS_RUN },
		{ "never, not even started", "{\"error\":\"x\"}", JOURNAL_ONCE, JOURNAL_BEGUN },
		{ "on failure, succeeded", "{\"exit\":0}", JOURNAL_UNLESS_SUCCESS,
		  JOURNAL_HAS_RUN },
		{ "on failure, restart pending", "{\"exit\":3010}", JOURNAL_UNLESS_SUCCESS,
		  JOURNAL_HAS_RUN },
		{ "on failure, failed", "{\"exit\":1}", JOURNAL_UNLESS_SUCCESS, JOURNAL_BEGUN },
		{ "on failure, interrupted", NULL, JOURNAL_UNLESS_SUCCESS, JOURNAL_BEGUN },
		{ "always, succeeded", "{\"exit\":0}", JOURNAL_ALWAYS, JOURNAL_BEGUN },
	};

	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		struct err err;

		assert_int_equal(play(*state, "1", cases[i / 2].result, JOURNAL_ONCE),
				 JOURNAL_BEGUN);
		/* Whether it is settled makes no difference. */
		if (i % 2 == 1)
			settle_all(*state);
		if (play(*state, NULL, NULL, cases[i / 2].again) != cases[i / 2].want)
			fail_msg("%s", cases[i / 2].why);
		assert_true(path_remove_tree(*state, &err));
	}
}

static void a_new_serial_is_a_new_run(void **state)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED(journal_list) struct journal_list list = { 0 };
	SCOPED_TEXT char *folder = NULL;
	json_auto_t *intent = intent_for("LON20001", 2);
	struct err err;
	int lock;

	assert_int_equal(play(*state, "1", "{\"exit\":0}", JOURNAL_ONCE), JOURNAL_BEGUN);
	assert_done(journal_open(&j, *state, 0, &err), &err);
	assert_int_equal(journal_begin(&folder, &lock, &j, intent, JOURNAL_ONCE, NOW, &err),
			 JOURNAL_BEGUN);
	assert_done(journal_load(&list, &j, &err), &err);
	assert_int_equal(journal_last(&list, "LON20001", 1)->phase, JOURNAL_ENDED);
	assert_int_equal(journal_last(&list, "LON20001", 2)->phase, JOURNAL_RUNNING);
	assert_null(journal_last(&list, "LON20001", 3));
	assert_null(journal_last(&list, "LON20000", 1));
	assert_true(journal_abandon(folder, lock));
	journal_list_release(&list);
	assert_done(journal_load(&list, &j, &err), &err);
	assert_int_equal(list.count, 1);
}

static void settled_runs_are_remembered(void **state)
{
	struct journal_run run;

	assert_int_equal(play(*state, "1", "{\"exit\":5}", JOURNAL_ONCE), JOURNAL_BEGUN);
	settle_all(*state);
	run = only_run(*state);
	assert_true(run.settled);
	assert_int_equal(run.outcome, JOURNAL_FAILED);
	assert_int_equal(run.code, 5);
	assert_string_equal(run.package, "LON00001");
	assert_int_equal(run.version, 2);
	/* Settling again changes nothing. */
	settle_all(*state);
	assert_int_equal(only_run(*state).attempt, 1);
	/* The next attempt takes its place. */
	assert_int_equal(play(*state, "1", "{\"exit\":0}", JOURNAL_ALWAYS), JOURNAL_BEGUN);
	settle_all(*state);
	run = only_run(*state);
	assert_int_equal(run.attempt, 2);
	assert_int_equal(run.outcome, JOURNAL_SUCCEEDED);
}

/* KB Q257280: a restart is pending until the machine has restarted. */
static void a_restart_pends_until_another_boot(void **state)
{
	char boot[BOOTID_SIZE], result[128];

	bootid_read(boot);
	snprintf(result, sizeof(result), "{\"exit\":3010,\"boot\":\"%s\"}", boot);
	assert_int_equal(play(*state, "1", result, JOURNAL_ONCE), JOURNAL_BEGUN);
	assert_true(only_run(*state).restart_pending);
	settle_all(*state);
	assert_true(only_run(*state).restart_pending);
	assert_int_equal(
		play(*state, "1", "{\"exit\":3010,\"boot\":\"an-older-one\"}", JOURNAL_ALWAYS),
		JOURNAL_BEGUN);
	settle_all(*state);
	assert_false(only_run(*state).restart_pending);
	assert_int_equal(only_run(*state).outcome, JOURNAL_SUCCEEDED_RESTART);
}

static void a_torn_history_loses_nothing_else(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "history");
	struct stat st;

	assert_int_equal(play(*state, "1", "{\"exit\":0}", JOURNAL_ONCE), JOURNAL_BEGUN);
	settle_all(*state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(play(*state, "1", "{\"exit\":9}", JOURNAL_ALWAYS), JOURNAL_BEGUN);
	/* The kill came in the middle of the second line, at every byte. */
	for (int cut = 0; cut < 60; cut++) {
		SCOPED_FD int fd = open(path, O_WRONLY | O_APPEND);
		struct err err;

		assert_done(path_write_fd(fd,
					  span_of("LON20001 1 2 LON00001 2 install failed 9 1 1 - ",
						  (size_t)cut % 47),
					  &err),
			    &err);
	}
	{
		SCOPED(journal) struct journal j = JOURNAL_CLOSED;
		SCOPED(journal_list) struct journal_list list = { 0 };
		struct err err;

		assert_done(journal_open(&j, *state, 0, &err), &err);
		assert_done(journal_load(&list, &j, &err), &err);
		assert_int_equal(list.count, 2);
	}
	settle_all(*state);
	assert_int_equal(only_run(*state).code, 9);
}

static void history_stays_small(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "history");
	struct stat st;

	for (int i = 0; i < 400; i++) {
		assert_int_equal(play(*state, "1", "{\"exit\":0}", JOURNAL_ALWAYS), JOURNAL_BEGUN);
		settle_all(*state);
	}
	assert_int_equal(only_run(*state).attempt, 400);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 300 * 120);
}

/* A kill between the history's line and the removal of the folder. */
static void a_leftover_folder_is_no_second_run(void **state)
{
	SCOPED_TEXT char *folder = path_join(*state, "LON20001-1-1");

	assert_int_equal(play(*state, "1", "{\"exit\":0}", JOURNAL_ONCE), JOURNAL_BEGUN);
	settle_all(*state);
	assert_int_equal(mkdir(folder, 0700), 0);
	put_file(folder, "intent", "{}");
	assert_true(only_run(*state).settled);
	assert_int_equal(play(*state, NULL, NULL, JOURNAL_ONCE), JOURNAL_HAS_RUN);
}

static void success_of_a_program_is_known(void **state)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED(journal_list) struct journal_list list = { 0 };
	struct err err;

	assert_int_equal(play(*state, "1", "{\"exit\":0}", JOURNAL_ONCE), JOURNAL_BEGUN);
	assert_done(journal_open(&j, *state, 0, &err), &err);
	assert_done(journal_load(&list, &j, &err), &err);
	assert_true(journal_has_succeeded(&list, "LON00001", "install"));
	assert_false(journal_has_succeeded(&list, "LON00001", "other"));
	assert_false(journal_has_succeeded(&list, "LON00002", "install"));
}

static void a_second_opener_waits_or_gives_up(void **state)
{
	SCOPED(journal) struct journal a = JOURNAL_CLOSED, b = JOURNAL_CLOSED;
	struct err err;

	assert_done(journal_open(&a, *state, 0, &err), &err);
	assert_false(journal_open(&b, *state, 30, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	journal_close(&a);
	assert_done(journal_open(&b, *state, 0, &err), &err);
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_dir, remove_dir)

TESTING_MAIN(CASE(what_is_left_tells_the_state), CASE(a_held_lock_means_running),
	     CASE(run_once_means_once), CASE(a_new_serial_is_a_new_run),
	     CASE(settled_runs_are_remembered), CASE(a_restart_pends_until_another_boot),
	     CASE(a_torn_history_loses_nothing_else), CASE(history_stays_small),
	     CASE(a_leftover_folder_is_no_second_run), CASE(success_of_a_program_is_known),
	     CASE(a_second_opener_waits_or_gives_up), )
