#include "support/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "nal/timebox.h"

static const int no_fds[TIMEBOX_KEEP_MAX] = { -1, -1, -1 };

static void say_hello(int socket, void *ctx)
{
	(void)timebox_write(socket, ctx, 5, STDIN_FILENO);
}

static void hang(int socket UNUSED, void *ctx UNUSED)
{
	for (;;)
		pause();
}

static void count_descriptors(int socket, void *ctx UNUSED)
{
	int n = 0;

	for (int fd = 3; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	(void)timebox_write(socket, &n, sizeof(n), -1);
}

static void a_result_and_a_descriptor_come_back(void **state UNUSED)
{
	struct timebox box = TIMEBOX_EMPTY;
	char text[6] = "";
	char hello[] = "hello";
	int fd;
	struct err err = { 0 };

	assert_done(timebox_start(&box, say_hello, hello, no_fds, &err), &err);
	assert_int_equal(timebox_read_fd(&fd, &box, text, 5, 1000), TIMEBOX_DONE);
	assert_string_equal(text, "hello");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(timebox_read(&box, text, 1, 1000), TIMEBOX_ENDED);
	timebox_end(&box);
	assert_false(timebox_is_stuck(&box));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
}

/* How long it takes, in ms. */
static uint64_t wait_for_what_hangs(void)
{
	struct timebox box = TIMEBOX_EMPTY;
	uint64_t begun = clock_mono_ms(clock_system());
	char byte;
	struct err err = { 0 };

	assert_done(timebox_start(&box, hang, NULL, no_fds, &err), &err);
	assert_false(timebox_start(&box, hang, NULL, no_fds, &err));
	assert_int_equal(err.code, ERR_IN_USE);
	assert_int_equal(timebox_read(&box, &byte, 1, 100), TIMEBOX_LATE);
	timebox_end(&box);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	return clock_mono_ms(clock_system()) - begun;
}

static void what_hangs_is_killed_at_its_deadline(void **state UNUSED)
{
	uint64_t took = UINT64_MAX;

	for (int i = 0; i < TESTING_TRIES && took > 600; i++)
		took = wait_for_what_hangs();
	assert_in_range(took, 100, 600);
}

static void what_came_late_counts_as_hung_for_a_while(void **state UNUSED)
{
	struct timebox box = TIMEBOX_EMPTY;

	assert_false(timebox_is_hung(&box));
	timebox_came_late(&box);
	assert_true(timebox_is_hung(&box));
	assert_false(timebox_is_stuck(&box)); /* another try may be made all the same */
	box.late_ms -= MIN_OF(box.late_ms - 1, TIMEBOX_HUNG_MS);
	assert_false(timebox_is_hung(&box));
	timebox_came_late(&box);
	timebox_came_in_time(&box);
	assert_false(timebox_is_hung(&box));
}

/* What the child is, and whether it can become root again. */
struct who {
	uid_t uid;
	gid_t gid;
	int groups;
	gid_t group;
	bool came_back;
	int dumpable;
	int dies_with; /* the signal at the parent's end */
};

static void tell_who(int socket, void *ctx UNUSED)
{
	gid_t list[8] = { 0 };
	struct who who = { .uid = geteuid(), .gid = getegid() };

	who.groups = getgroups(COUNT_OF(list), list);
	who.group = list[0];
	who.came_back = setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0;
	who.dumpable = prctl(PR_GET_DUMPABLE);
	(void)prctl(PR_GET_PDEATHSIG, &who.dies_with);
	(void)timebox_write(socket, &who, sizeof(who), -1);
}

static void a_child_takes_on_the_account_for_good(void **state UNUSED)
{
	static const gid_t groups[] = { 12345 };
	static const struct timebox_user user = { 54321, 54322, groups, 1 };
	struct timebox box = TIMEBOX_EMPTY;
	struct who who;
	struct err err = { 0 };

	if (geteuid() != 0)
		skip();
	box.as = &user;
	assert_done(timebox_start(&box, tell_who, NULL, no_fds, &err), &err);
	assert_int_equal(timebox_read(&box, &who, sizeof(who), 5000), TIMEBOX_DONE);
	timebox_end(&box);
	assert_int_equal(who.uid, 54321);
	assert_int_equal(who.gid, 54322);
	assert_int_equal(who.groups, 1);
	assert_int_equal(who.group, 12345);
	assert_false(who.came_back);
	assert_int_not_equal(who.dumpable, 1); /* its user cannot look into it */
	assert_int_equal(who.dies_with, SIGKILL);
	assert_int_equal(geteuid(), 0);
}

/* A child that cannot die is played by one that is merely not killed. */
static void one_stuck_child_bars_the_next(void **state UNUSED)
{
	struct timebox box = TIMEBOX_EMPTY;
	struct err err = { 0 };
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	box.stuck = pid;
	assert_false(timebox_start(&box, hang, NULL, no_fds, &err));
	assert_int_equal(err.code, ERR_NET_TIMEOUT);
	assert_true(timebox_is_stuck(&box));
	kill(pid, SIGKILL);
	for (int i = 0; i < 1000 && timebox_is_stuck(&box); i++)
		usleep(1000);
	assert_done(timebox_start(&box, hang, NULL, no_fds, &err), &err);
	timebox_end(&box);
}

static void a_child_keeps_only_what_it_needs(void **state UNUSED)
{
	struct timebox box = TIMEBOX_EMPTY;
	int others[8], n;
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(others); i++)
		others[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_done(timebox_start(&box, count_descriptors, NULL,
				  (const int[]){ others[5], others[2], -1 }, &err),
		    &err);
	assert_int_equal(timebox_read(&box, &n, sizeof(n), 1000), TIMEBOX_DONE);
	timebox_end(&box);
	assert_int_equal(n, 3); /* its socket and the two */
	for (size_t i = 0; i < COUNT_OF(others); i++)
		close(others[i]);
}

TESTING_MAIN(cmocka_unit_test(a_result_and_a_descriptor_come_back),
	     cmocka_unit_test(what_hangs_is_killed_at_its_deadline),
	     cmocka_unit_test(what_came_late_counts_as_hung_for_a_while),
	     cmocka_unit_test(a_child_takes_on_the_account_for_good),
	     cmocka_unit_test(one_stuck_child_bars_the_next),
	     cmocka_unit_test(a_child_keeps_only_what_it_needs), )
