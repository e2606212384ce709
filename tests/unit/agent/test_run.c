/*
 * Runs with real processes. This program is its own reaper: see main.
 */
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/reap.h"
#include "agent/run.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"

#define KILLS   50
#define WAIT_MS 20000
#define LOCK_MS 10000
#define SELF    "/proc/self/exe"
#define ADV     "LON20001"

#define REAPER_ROLE "PACKWAY_TEST_REAPER" /* in the environment: see play_reaper */

struct place {
	char dir[64];
	char *journal, *content, *records;
	char self[512];
};

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	ssize_t size = readlink(SELF, p->self, sizeof(p->self) - 1);
	struct err err;

	snprintf(p->dir, sizeof(p->dir), "/tmp/test_run-XXXXXX");
	if (size <= 0 || mkdtemp(p->dir) == NULL || chmod(p->dir, 0755) != 0)
		return 1;
	p->journal = path_join(p->dir, "journal");
	p->content = path_join(p->dir, "content");
	p->records = path_join(p->dir, "records");
	*state = p;
	return path_make_dirs(p->content, 0755, &err) ? 0 : 1;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	struct err err;
	bool done = path_remove_tree(p->dir, &err);

	free(p->journal);
	free(p->content);
	free(p->records);
	free(p);
	return done ? 0 : 1;
}

static json_t *assignment(const char *command, const char *as, int timeout_s)
{
	return json_pack("{s:s,s:i,s:s,s:i,s:s,s:s,s:i,s:[i],s:[i],s:s,s:i}", "advertisement", ADV,
			 "serial", 1, "package", "LON00001", "version", 2, "program", "install",
			 "command", command, "timeout_s", timeout_s, "success", 0, "restart", 3010,
			 "as", as, "grace_s", 1);
}

static enum run_start start(const struct place *p, const char *command, const char *as,
			    int timeout_s, enum journal_again again, struct err *err)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	json_auto_t *wanted = assignment(command, as, timeout_s);
	struct run_request request = {
		.assignment = wanted,
		.content = p->content,
		.client = "00112233445566778899aabbccddeeff",
		.way = "mount",
		.again = again,
		.reaper = p->self,
		.pin = -1,
	};

	if (!journal_open(&j, p->journal, LOCK_MS, err))
		return RUN_FAULT;
	return run_start(&j, &request, clock_system(), err);
}

/* As the outbox does: a known key is not added again. One "key record" per line, flushed. */
static bool keep_record(const json_t *record, const char *key, void *ctx, struct err *err)
{
	const struct place *p = ctx;
	SCOPED(buf) struct buf line = { 0 }, have = { 0 };
	SCOPED_FD int fd = open(p->records, O_WRONLY | O_CREAT | O_APPEND, 0600);
	SCOPED_TEXT char *front = alloc_printf("\n%s ", key);

	if (!path_read(&have, p->records, 64u << 20, err))
		return false;
	buf_printf(&line, "\n%s ", key);
	if (strstr(buf_text(&have), front) != NULL)
		return true;
	jsondoc_write(&line, record);
	return path_write_fd(fd, buf_span(&line), err);
}

static struct run_summary collect(struct place *p)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	struct run_summary sum;
	struct err err;

	assert_done(journal_open(&j, p->journal, LOCK_MS, &err), &err);
	assert_done(run_collect(&sum, &j, clock_system(), keep_record, p, &err), &err);
	return sum;
}

/* Until nothing runs any more. */
static void collect_all(struct place *p)
{
	for (int waited = 0; collect(p).running > 0; waited += 10) {
		if (waited > WAIT_MS)
			fail_msg("a run does not end");
		pause_ms(10);
	}
}

static struct journal_run last_run(const struct place *p)
{
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED(journal_list) struct journal_list list = { 0 };
	const struct journal_run *run;
	struct err err;

	assert_done(journal_open(&j, p->journal, LOCK_MS, &err), &err);
	assert_done(journal_load(&list, &j, &err), &err);
	run = journal_last(&list, ADV, 1);
	return run != NULL ? *run : (struct journal_run){ .phase = JOURNAL_UNSTARTED };
}

/* The record with this id; NULL if there is none. Fails if there are two of one attempt. */
static json_t *record_of(const struct place *p, int attempt, int id)
{
	SCOPED(buf) struct buf text = { 0 };
	SCOPED_TEXT char *front = alloc_printf("%s-1-%d/%d ", ADV, attempt, id);
	struct span rest, line;
	json_t *found = NULL;
	struct err err;

	if (!path_read(&text, p->records, 64u << 20, &err))
		return NULL;
	rest = buf_span(&text);
	while (span_take_line(&rest, &line)) {
		if (line.size <= strlen(front) || memcmp(line.data, front, strlen(front)) != 0)
			continue;
		assert_null(found);
		assert_done(jsondoc_read(&found, span_skip(line, strlen(front)), &err), &err);
	}
	return found;
}

static void run_and_collect(struct place *p, const char *command, int timeout_s)
{
	struct err err;
	enum run_start started = start(p, command, "root", timeout_s, JOURNAL_ALWAYS, &err);

	if (started != RUN_STARTED)
		fail_msg("%s: %s", command, started == RUN_FAULT ? err.why : "refused");
	collect_all(p);
}

static void exit_codes_map_to_records(void **state)
{
	static const struct {
		const char *why, *command;
		int id, code;
		bool restart;
	} cases[] = {
		{ "zero", "sh -c 'exit 0'", 10008, 0, false },
		{ "no success", "sh -c 'exit 3'", 10006, 3, false },
		{ "a signal", "sh -c 'kill -9 $$'", 10006, -1, false },
		{ "no such file", "./nothing", 10004, -1, false },
		{ "open quote", "sh -c 'x", 10004, -1, false },
	};
	struct place *p = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_auto_t *record = NULL, *start_record = NULL;

		run_and_collect(p, cases[i].command, 60);
		record = record_of(p, (int)i + 1, cases[i].id);
		if (record == NULL)
			fail_msg("%s: no record %d", cases[i].why, cases[i].id);
		assert_int_equal(jsondoc_int(json_object_get(record, "data"), "exit", -1),
				 cases[i].code);
		start_record = record_of(p, (int)i + 1, 10005);
		assert_int_equal(start_record != NULL, cases[i].id != 10004);
	}
}

static void environment_is_built_from_nothing(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;
	SCOPED_TEXT char *want = NULL;
	const struct passwd *pw = getpwuid(geteuid());
	mode_t before;

	setenv("LD_PRELOAD_TEST", "leaks", 1);
	before = umask(0);
	run_and_collect(p, "sh -c 'umask; pwd; /usr/bin/env | LC_ALL=C sort'", 60);
	umask(before);
	record = record_of(p, 1, 10008);
	assert_non_null(record);
	want = alloc_printf(
		"0022\n%s\nHOME=%s\nLANG=C.UTF-8\nPACKWAY_ADVERTISEMENT=" ADV
		"\nPACKWAY_CLIENT=00112233445566778899aabbccddeeff\nPACKWAY_CONTENT=%s\n"
		"PACKWAY_PACKAGE=LON00001\nPACKWAY_PROGRAM=install\nPACKWAY_VERSION=2\n"
		"PACKWAY_WAY=mount\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		"/sbin:/bin\nPWD=%s\n",
		p->content, pw->pw_dir, p->content, p->content);
	/* PWD is the shell's own addition. */
	assert_string_equal(jsondoc_text(json_object_get(record, "data"), "output"), want);
}

static void content_programs_run_by_name(void **state)
{
	struct place *p = *state;
	SCOPED_TEXT char *script = path_join(p->content, "ls");
	SCOPED_FD int fd = open(script, O_WRONLY | O_CREAT, 0755);
	json_auto_t *record = NULL;
	struct err err;

	assert_done(path_write_fd(fd, span_of_text("#!/bin/sh\necho ours \"$1\"\n"), &err), &err);
	close(fd);
	fd = -1;
	run_and_collect(p, "ls '{content}'", 60);
	record = record_of(p, 1, 10008);
	assert_non_null(record);
	assert_non_null(
		strstr(jsondoc_text(json_object_get(record, "data"), "output"), "ours /tmp/"));
}

/* KB Q215080: the run lasts as long as the last process of its tree, not as the first. */
static void the_whole_tree_is_waited_for(void **state)
{
	struct place *p = *state;
	SCOPED_TEXT char *file = path_join(p->content, "late");
	json_auto_t *record = NULL;

	run_and_collect(
		p, "sh -c '(setsid sh -c \"sleep 0.5; echo late; : >late\" &) ; echo early'", 60);
	assert_true(path_exists(file));
	record = record_of(p, 1, 10008);
	assert_non_null(record);
	assert_string_equal(jsondoc_text(json_object_get(record, "data"), "output"),
			    "early\nlate\n");
}

static size_t processes_naming(const char *word)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	size_t count = 0;

	while ((e = readdir(proc)) != NULL) {
		SCOPED_TEXT char *path = alloc_printf("/proc/%s/cmdline", e->d_name);
		SCOPED_FD int fd = open(path, O_RDONLY);
		char text[512];
		ssize_t size = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

		if (size > 0 && memmem(text, (size_t)size, word, strlen(word)) != NULL)
			count++;
	}
	closedir(proc);
	return count;
}

static void a_timeout_ends_the_whole_tree(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;

	/* One that asks for no mercy, one in another session, one that forks on SIGTERM. */
	run_and_collect(
		p,
		"sh -c 'trap \"\" TERM; (setsid sleep 987.25 &); (sleep 987.25 &); echo begun; "
		"while :; do sleep 987.25; done'",
		3);
	record = record_of(p, 1, 10006);
	assert_non_null(record);
	assert_true(jsondoc_flag(json_object_get(record, "data"), "timed_out", false));
	assert_string_equal(jsondoc_text(json_object_get(record, "data"), "output"), "begun\n");
	assert_int_equal(processes_naming("987.25"), 0);
	assert_int_equal(last_run(p).outcome, JOURNAL_TIMED_OUT);
}

/* A daemon of the old school: two forks, a session of its own, every descriptor closed. */
static void a_daemon_that_hides_is_found_at_the_time_limit(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;

	run_and_collect(p,
			"sh -c '(setsid sh -c \"trap : TERM; while :; do sleep 985.25; done\" "
			"<&- >&- 2>&- 3>&- 4>&- 5>&- &) & echo begun; sleep 985.25'",
			1);
	record = record_of(p, 1, 10006);
	assert_non_null(record);
	assert_true(jsondoc_flag(json_object_get(record, "data"), "timed_out", false));
	assert_int_equal(processes_naming("985.25"), 0);
}

static void leftovers_do_not_undo_a_success(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;

	run_and_collect(p, "sh -c 'setsid sleep 988.25 & exit 0'", 3);
	record = record_of(p, 1, 10008);
	assert_non_null(record);
	assert_true(jsondoc_flag(json_object_get(record, "data"), "leftovers_ended", false));
	assert_int_equal(processes_naming("988.25"), 0);
}

static void a_flood_of_output_is_bounded(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;
	json_t *data;

	run_and_collect(
		p, "sh -c 'head -c 50000000 /dev/zero | tr \"\\\\0\" x; echo; echo end >&2'", 60);
	record = record_of(p, 1, 10008);
	assert_non_null(record);
	data = json_object_get(record, "data");
	assert_int_equal(jsondoc_int(data, "output_bytes", 0), 50000005);
	assert_true(strlen(jsondoc_text(data, "output")) < 66000);
	assert_non_null(strstr(jsondoc_text(data, "output"), "x\nend\n"));
}

static void an_endless_flood_meets_its_time_limit(void **state)
{
	struct place *p = *state;

	run_and_collect(p, "sh -c 'exec yes'", 1);
	assert_int_equal(last_run(p).outcome, JOURNAL_TIMED_OUT);
}

static void another_account_is_used(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;
	struct err err;

	if (geteuid() != 0)
		skip();
	assert_int_equal(start(p, "sh -c 'id -un; echo $HOME'", "nobody", 60, JOURNAL_ONCE, &err),
			 RUN_STARTED);
	collect_all(p);
	record = record_of(p, 1, 10008);
	assert_non_null(record);
	assert_string_equal(jsondoc_text(json_object_get(record, "data"), "output"),
			    "nobody\n/nonexistent\n");
}

static void an_unknown_account_is_told(void **state)
{
	struct place *p = *state;
	json_auto_t *record = NULL;
	struct err err;

	assert_int_equal(start(p, "sh -c true", "no-such-account", 60, JOURNAL_ONCE, &err),
			 RUN_STARTED);
	collect_all(p);
	record = record_of(p, 1, 10004);
	assert_non_null(record);
	assert_non_null(strstr(jsondoc_text(record, "text"), "no account no-such-account"));
}

static bool pin_is_free(const char *path)
{
	SCOPED_FD int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void the_pin_of_the_content_lasts_as_long_as_the_run(void **state)
{
	struct place *p = *state;
	SCOPED(journal) struct journal j = JOURNAL_CLOSED;
	SCOPED_TEXT char *path = path_join(p->content, "pin");
	json_auto_t *wanted = assignment("sleep 2", "root", 60);
	struct run_request request = {
		.assignment = wanted,
		.content = p->content,
		.client = "00112233445566778899aabbccddeeff",
		.reaper = p->self,
	};
	struct err err;

	request.pin = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(request.pin, LOCK_SH), 0);
	assert_done(journal_open(&j, p->journal, LOCK_MS, &err), &err);
	assert_int_equal(run_start(&j, &request, clock_system(), &err), RUN_STARTED);
	journal_close(&j);
	close(request.pin);
	assert_false(pin_is_free(path));
	while (last_run(p).phase == JOURNAL_RUNNING)
		pause_ms(20);
	/* The result is there a moment before its writer has ended. */
	for (int left = 3000; left > 0 && !pin_is_free(path); left--)
		pause_ms(10);
	assert_true(pin_is_free(path));
}

static void a_missing_reaper_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err err;

	snprintf(p->self, sizeof(p->self), "/nowhere/packway-agent");
	assert_int_equal(start(p, "sh -c true", "root", 60, JOURNAL_ONCE, &err), RUN_FAULT);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(last_run(p).phase, JOURNAL_UNSTARTED);
}

/* Kills at chosen moments: see play_reaper. */

/* Every process whose command line names `folder`: the run's parent. */
static void kill_reapers(const char *folder)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;

	while ((e = readdir(proc)) != NULL) {
		SCOPED_TEXT char *path = alloc_printf("/proc/%s/cmdline", e->d_name);
		SCOPED_FD int fd = open(path, O_RDONLY);
		char text[1024];
		ssize_t size = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

		if (size > 0 &&
		    memmem(text, (size_t)size, REAP_OPTION, strlen(REAP_OPTION)) != NULL &&
		    memmem(text, (size_t)size, folder, strlen(folder)) != NULL)
			kill((pid_t)atoi(e->d_name), SIGKILL);
	}
	closedir(proc);
}

static size_t lines_of(const char *path)
{
	SCOPED(buf) struct buf text = { 0 };
	struct span rest, line;
	size_t count = 0;
	struct err err;

	if (!path_read(&text, path, 1u << 20, &err))
		return 0;
	rest = buf_span(&text);
	while (span_take_line(&rest, &line))
		count++;
	return count;
}

static void a_first_generation_that_dies_late_repeats_nothing(void **state)
{
	struct place *p = *state;
	SCOPED_TEXT char *ran = path_join(p->dir, "ran");
	SCOPED_TEXT char *command = alloc_printf("sh -c 'echo ran >>%s'", ran);
	json_auto_t *fine = NULL;
	struct err err;

	setenv(REAPER_ROLE, "dies-late", 1);
	assert_int_equal(start(p, command, "root", 60, JOURNAL_ONCE, &err), RUN_STARTED);
	unsetenv(REAPER_ROLE);
	assert_int_not_equal(start(p, command, "root", 60, JOURNAL_ONCE, &err), RUN_STARTED);
	collect_all(p);
	assert_int_equal(start(p, command, "root", 60, JOURNAL_ONCE, &err), RUN_HAS_RUN);
	assert_int_equal(lines_of(ran), 1);
	fine = record_of(p, 1, 10008);
	assert_non_null(fine);
}

static void a_first_generation_that_dies_early_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err err;

	setenv(REAPER_ROLE, "dies-early", 1);
	assert_int_equal(start(p, "sh -c true", "root", 60, JOURNAL_ONCE, &err), RUN_FAULT);
	unsetenv(REAPER_ROLE);
	assert_int_equal(last_run(p).phase, JOURNAL_UNSTARTED);
	run_and_collect(p, "sh -c true", 60);
	assert_int_equal(last_run(p).outcome, JOURNAL_SUCCEEDED);
}

static void a_program_killed_before_its_start_runs_later(void **state)
{
	struct place *p = *state;
	json_auto_t *early = NULL;
	struct err err;

	setenv(REAPER_ROLE, "cannot-start", 1);
	assert_int_equal(start(p, "sh -c true", "root", 60, JOURNAL_ONCE, &err), RUN_STARTED);
	unsetenv(REAPER_ROLE);
	collect_all(p);
	assert_false(path_exists(p->records));
	assert_int_equal(start(p, "sh -c true", "root", 60, JOURNAL_ONCE, &err), RUN_STARTED);
	collect_all(p);
	early = record_of(p, 1, 10008);
	assert_non_null(early);
}

/* Start a program that runs on when its parent is killed at once. */
static void start_an_orphan(struct place *p, const char *command, int timeout_s)
{
	SCOPED_TEXT char *started = alloc_printf("%s/" ADV "-1-1/started", p->journal);
	struct err err;

	assert_int_equal(start(p, command, "root", timeout_s, JOURNAL_ONCE, &err), RUN_STARTED);
	for (int waited = 0; !last_run(p).executed && waited < WAIT_MS; waited += 10)
		pause_ms(10);
	assert_true(path_exists(started));
	kill_reapers(p->journal);
}

static void a_run_that_lost_its_parent_ends_at_its_time_limit(void **state)
{
	struct place *p = *state;
	json_auto_t *cut = NULL;

	/* One that asks for no mercy, one in another session, one in the background. */
	start_an_orphan(p,
			"sh -c 'trap \"\" TERM; (setsid sleep 986.25 &); (sleep 986.25 &); "
			"while :; do sleep 986.25; done'",
			4);
	assert_int_equal(collect(p).running, 1);
	assert_true(processes_naming("986.25") > 0);
	collect_all(p);
	assert_int_equal(processes_naming("986.25"), 0);
	assert_int_equal(last_run(p).outcome, JOURNAL_INTERRUPTED);
	cut = record_of(p, 1, 11006);
	assert_non_null(cut);
	assert_non_null(strstr(jsondoc_text(cut, "text"), "time limit"));
}

static void a_run_that_lost_its_parent_is_left_alone_within_its_time(void **state)
{
	struct place *p = *state;
	SCOPED_TEXT char *done = path_join(p->dir, "done");
	SCOPED_TEXT char *gate = path_join(p->dir, "gate");
	SCOPED_TEXT char *command = alloc_printf(
		"sh -c 'until test -e %s; do sleep 0.1; done; : >%s'", gate, done);
	json_auto_t *cut = NULL;
	struct err err;

	start_an_orphan(p, command, 60);
	assert_done(newfile_write(gate, 0600, span_of("", 0), &err), &err);
	collect_all(p);
	assert_true(path_exists(done));
	cut = record_of(p, 1, 11006);
	assert_non_null(cut);
	assert_string_equal(jsondoc_text(cut, "text"), "interrupted");
}

/* Kills at random moments. */

/* What the agent does, over and over. */
static void be_agent(struct place *p, const char *command)
{
	struct err err;

	for (;;) {
		SCOPED(journal) struct journal j = JOURNAL_CLOSED;
		struct run_summary sum;

		if (journal_open(&j, p->journal, LOCK_MS, &err))
			(void)!run_collect(&sum, &j, clock_system(), keep_record, p, &err);
		journal_close(&j);
		(void)!start(p, command, "root", 60, JOURNAL_ONCE, &err);
	}
}

static pid_t fork_agent(struct place *p, const char *command)
{
	pid_t pid = fork();

	if (pid == 0) {
		be_agent(p, command);
		_exit(1);
	}
	return pid;
}

/*
 * The agent is killed at a random moment, and in every other round the run's parent as well. The
 * program must have run once, at most, and there must be one end in the records.
 */
static void kills_neither_repeat_nor_lose_a_run(void **state)
{
	struct place *p = *state;
	size_t interrupted = 0, succeeded = 0;
	struct random_seq r;
	const uint64_t seed = testing_seed();

	random_seq_init(&r, seed, "kills");
	for (int round = 0; round < KILLS; round++) {
		SCOPED_TEXT char *ran = alloc_printf("%s/ran-%d", p->dir, round);
		SCOPED_TEXT char *command = alloc_printf("sh -c 'echo ran >>%s; sleep 0.0%d'", ran,
							 (int)random_seq_below(&r, 10));
		json_auto_t *begun = NULL, *fine = NULL, *cut = NULL;
		struct err err;
		pid_t agent;

		assert_done(path_remove_tree(p->journal, &err), &err);
		(void)unlink(p->records);
		agent = fork_agent(p, command);
		pause_ms((long)random_seq_below(&r, 150));
		if (round % 2 == 1)
			kill_reapers(p->journal);
		kill(agent, SIGKILL);
		assert_int_equal(waitpid(agent, NULL, 0), agent);
		/* A new agent recovers; a run that never came to its start begins now. */
		collect_all(p);
		assert_int_not_equal(start(p, command, "root", 60, JOURNAL_ONCE, &err), RUN_FAULT);
		collect_all(p);
		begun = record_of(p, 1, 10005);
		fine = record_of(p, 1, 10008);
		cut = record_of(p, 1, 11006);
		if (begun == NULL || (fine == NULL) == (cut == NULL))
			fail_msg("round %d: started %d, succeeded %d, interrupted %d", round,
				 begun != NULL, fine != NULL, cut != NULL);
		assert_in_range(lines_of(ran), fine != NULL ? 1 : 0, 1);
		succeeded += fine != NULL;
		interrupted += cut != NULL;
		if (round % 2 == 0)
			assert_non_null(fine);
	}
	print_message("# %zu succeeded, %zu interrupted\n", succeeded, interrupted);
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

/* Whether the `started` of a run is no longer empty, within a while. */
static bool comes_to_start(const char *folder)
{
	SCOPED_TEXT char *path = path_join(folder, "started");
	struct stat st;

	for (int waited = 0; waited < WAIT_MS; waited += 5) {
		if (stat(path, &st) == 0 && st.st_size > 0)
			return true;
		pause_ms(5);
	}
	return false;
}

/* The reaper, or one that meets its death where REAPER_ROLE says. */
static int play_reaper(const char *folder)
{
	const char *role = getenv(REAPER_ROLE);
	pid_t first = getpid();
	int result;

	if (role != NULL && strcmp(role, "dies-early") == 0)
		raise(SIGKILL);
	/* SIGXFSZ meets whoever writes to `started`; in the reaper itself it is ignored. */
	if (role != NULL && strcmp(role, "cannot-start") == 0) {
		(void)signal(SIGXFSZ, SIG_IGN);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, RLIM_INFINITY }), 0);
	}
	result = reap_main(folder);
	if (role != NULL && strcmp(role, "dies-late") == 0 && getpid() == first &&
	    comes_to_start(folder))
		raise(SIGKILL);
	return result;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest cases[] = {
		CASE(exit_codes_map_to_records),
		CASE(environment_is_built_from_nothing),
		CASE(content_programs_run_by_name),
		CASE(the_whole_tree_is_waited_for),
		CASE(a_timeout_ends_the_whole_tree),
		CASE(a_daemon_that_hides_is_found_at_the_time_limit),
		CASE(leftovers_do_not_undo_a_success),
		CASE(a_flood_of_output_is_bounded),
		CASE(an_endless_flood_meets_its_time_limit),
		CASE(another_account_is_used),
		CASE(an_unknown_account_is_told),
		CASE(the_pin_of_the_content_lasts_as_long_as_the_run),
		CASE(a_missing_reaper_leaves_nothing),
		CASE(a_first_generation_that_dies_late_repeats_nothing),
		CASE(a_first_generation_that_dies_early_leaves_nothing),
		CASE(a_program_killed_before_its_start_runs_later),
		CASE(a_run_that_lost_its_parent_ends_at_its_time_limit),
		CASE(a_run_that_lost_its_parent_is_left_alone_within_its_time),
		CASE(kills_neither_repeat_nor_lose_a_run),
	};

	if (argc == 3 && strcmp(argv[1], REAP_OPTION) == 0)
		return play_reaper(argv[2]);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("test_run", cases, NULL, NULL);
}
