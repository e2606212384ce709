#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/path.h"
#include "common/spawn.h"

#define SHELL "/bin/sh"

static const char *const *shell(const char *script)
{
	static const char *argv[] = { SHELL, "-c", NULL, NULL };

	argv[2] = script;
	return argv;
}

/* Run a description to its end; standard output is collected in `out`. */
static int run(struct buf *out, struct spawn *s)
{
	struct spawn_fd fds[4];
	struct err err;
	int pipe_fds[2], status;
	pid_t pid;
	ssize_t n;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < s->fd_count; i++)
		fds[i] = s->fds[i];
	fds[s->fd_count] = (struct spawn_fd){ pipe_fds[1], STDOUT_FILENO };
	s->fds = fds;
	s->fd_count++;
	assert_done(spawn_start(&pid, s, &err), &err);
	close(pipe_fds[1]);
	while ((n = read(pipe_fds[0], buf_reserve(out, 4096), 4096)) > 0)
		buf_grew(out, (size_t)n);
	close(pipe_fds[0]);
	assert_int_equal(spawn_wait(&status, pid, 10000), SPAWN_ENDED);
	return status;
}

static void only_listed_descriptors_arrive(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	int open_to_all = open("/dev/zero", O_RDONLY); /* without close-on-exec */
	int passed = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fds[] = { { passed, 7 } };
	/* The shell's own glob reads through a descriptor of its own: name what is there. */
	struct spawn s = {
		.argv = shell("for f in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$f ] && "
			      "printf '%s=%s ' $f $(readlink /proc/$$/fd/$f); done; true"),
		.fds = fds,
		.fd_count = 1,
	};

	assert_int_equal(run(&out, &s), 0);
	assert_non_null(strstr(buf_text(&out), "0=/dev/null 1=pipe:"));
	assert_non_null(strstr(buf_text(&out), "2=/dev/null 7=/etc/passwd "));
	assert_null(strstr(buf_text(&out), "/dev/zero"));
	assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
	close(passed);
	close(open_to_all);
}

static void descriptors_may_change_places(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	int a = open("/etc/passwd", O_RDONLY | O_CLOEXEC),
	    b = open("/etc/group", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fds[] = { { a, b }, { b, a } };
	char script[128], want[128];
	struct spawn s = { .argv = shell(script), .fds = fds, .fd_count = 2 };

	snprintf(script, sizeof(script), "readlink /proc/$$/fd/%d /proc/$$/fd/%d", a, b);
	snprintf(want, sizeof(want), "/etc/group\n/etc/passwd\n");
	assert_int_equal(run(&out, &s), 0);
	assert_string_equal(buf_text(&out), want);
	close(a);
	close(b);
}

static void environment_and_folder_are_as_said(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	struct spawn s = {
		.argv = shell("pwd; /usr/bin/env"),
		.envp = (const char *const[]){ "A=1", NULL },
		.cwd = "/usr",
	};

	assert_int_equal(run(&out, &s), 0);
	assert_non_null(strstr(buf_text(&out), "/usr\n"));
	assert_non_null(strstr(buf_text(&out), "A=1\n"));
	assert_null(strstr(buf_text(&out), "HOME"));
}

static void signals_are_back_at_their_defaults(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	struct spawn s = { .argv = shell("kill -TERM $$; echo alive") };
	sigset_t term, old;
	int status;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	signal(SIGTERM, SIG_IGN);
	status = run(&out, &s);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void failed_starts_say_which_step(void **state UNUSED)
{
	static const struct {
		const char *why, *file, *cwd, *want;
		enum err_code code;
	} cases[] = {
		{ "no such file", "/nowhere/x", NULL, "execute /nowhere/x", ERR_NOT_FOUND },
		{ "not executable", "/etc/passwd", NULL, "execute /etc/passwd", ERR_PERMISSION },
		{ "no such folder", SHELL, "/nowhere", "working folder", ERR_NOT_FOUND },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *argv[] = { cases[i].file, NULL };
		struct spawn s = { .argv = argv, .cwd = cases[i].cwd };
		struct err err;
		pid_t pid;

		if (spawn_start(&pid, &s, &err) || strstr(err.why, cases[i].want) == NULL ||
		    err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].why, err.why);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
}

static int refuse(void *ctx)
{
	return *(int *)ctx;
}

static void last_step_can_stop_the_start(void **state UNUSED)
{
	int answer = ENOSPC;
	struct spawn s = { .argv = shell("exit 0"), .last = refuse, .ctx = &answer };
	struct err err;
	pid_t pid;

	assert_false(spawn_start(&pid, &s, &err));
	assert_int_equal(err.code, ERR_DISK_FULL);
	answer = 0;
	assert_done(spawn_start(&pid, &s, &err), &err);
	assert_int_equal(spawn_wait(NULL, pid, -1), SPAWN_ENDED);
}

static void waiting_ends_at_the_deadline(void **state UNUSED)
{
	struct spawn s = { .argv = shell("sleep 100 & wait"), .flags = SPAWN_NEW_SESSION };
	struct err err;
	int status = -1;
	pid_t pid;

	assert_done(spawn_start(&pid, &s, &err), &err);
	assert_int_equal(spawn_wait(&status, pid, 0), SPAWN_RUNNING);
	assert_int_equal(spawn_wait(&status, pid, 30), SPAWN_RUNNING);
	assert_true(spawn_kill_group(pid, SIGKILL));
	assert_int_equal(spawn_wait(&status, pid, -1), SPAWN_ENDED);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(spawn_wait(&status, pid, 0), SPAWN_GONE);
}

static void stopping_ends_a_deaf_program(void **state UNUSED)
{
	int pipe_fds[2];
	struct spawn_fd fds[1];
	struct spawn s = { .argv = shell("trap '' TERM; echo ready; sleep 100; sleep 100"),
			   .fds = fds,
			   .fd_count = 1,
			   .flags = SPAWN_NEW_GROUP };
	struct err err;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	fds[0] = (struct spawn_fd){ pipe_fds[1], STDOUT_FILENO };
	assert_done(spawn_start(&pid, &s, &err), &err);
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	spawn_stop(pid, 50);
	assert_int_equal(spawn_wait(NULL, pid, 0), SPAWN_GONE);
	/* Its children had the pipe as well: the end shows that they are gone too. */
	while (read(pipe_fds[0], &byte, 1) > 0)
		;
	close(pipe_fds[0]);
}

static void limits_hold_in_the_program(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	struct spawn_limit limits[] = { { RLIMIT_NOFILE, 77 } };
	struct spawn s = { .argv = shell("ulimit -n"), .limits = limits, .limit_count = 1 };

	assert_int_equal(run(&out, &s), 0);
	assert_string_equal(buf_text(&out), "77\n");
}

static void another_account_can_be_taken(void **state UNUSED)
{
	SCOPED(buf) struct buf out = { 0 };
	gid_t groups[] = { 65534, 65533 };
	struct spawn_user user = { .uid = 65534, .gid = 65534, .groups = groups, .group_count = 2 };
	struct spawn s = { .argv = shell("/usr/bin/id -u; /usr/bin/id -G"), .user = &user };

	if (geteuid() != 0)
		skip();
	assert_int_equal(run(&out, &s), 0);
	assert_string_equal(buf_text(&out), "65534\n65534 65533\n");
}

TESTING_MAIN(cmocka_unit_test(only_listed_descriptors_arrive),
	     cmocka_unit_test(descriptors_may_change_places),
	     cmocka_unit_test(environment_and_folder_are_as_said),
	     cmocka_unit_test(signals_are_back_at_their_defaults),
	     cmocka_unit_test(failed_starts_say_which_step),
	     cmocka_unit_test(last_step_can_stop_the_start),
	     cmocka_unit_test(waiting_ends_at_the_deadline),
	     cmocka_unit_test(stopping_ends_a_deaf_program),
	     cmocka_unit_test(limits_hold_in_the_program),
	     cmocka_unit_test(another_account_can_be_taken), )
