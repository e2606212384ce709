#include "support/testing.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/supervisor.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/wire.h"

#define WAIT_MS 10000

struct place {
	char dir[64];
	char *log; /* one line per request that was run */
};

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/test_supervisor-XXXXXX");
	if (mkdtemp(p->dir) == NULL)
		return 1;
	p->log = path_join(p->dir, "requests");
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	struct err err;
	bool done = path_remove_tree(p->dir, &err);

	free(p->log);
	free(p);
	return done ? 0 : 1;
}

/* Plays job_run: notes the verb, and answers with what it was given. */
static bool fake_run(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	const char *verb = jsondoc_text(request, "op");
	SCOPED_TEXT char *path = path_join(job->state->dir, "requests");
	SCOPED_TEXT char *line = alloc_printf("%s\n", verb);
	SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	json_auto_t *event = json_pack("{s:s}", "event", "note");

	if (!path_write_fd(fd, span_of_text(line), err))
		return false;
	if (strcmp(verb, "fail") == 0)
		return err_set(err, ERR_NO_CANDIDATE, "nobody is there");
	if (strcmp(verb, "let-go") == 0)
		job_finish(job);
	if (strcmp(verb, "hang") == 0 || strcmp(verb, "let-go") == 0)
		pause_ms(100000);
	(void)job->event(event, job->event_ctx);
	*result_out = json_pack("{s:s,s:i,s:b}", "verb", verb, "caller", (int)job->caller, "worker",
				job->worker >= 0);
	return true;
}

/* Plays the worker: a process that ends when its line does. */
static bool fake_worker(int *socket_out, pid_t *pid_out, const struct job *job UNUSED,
			struct err *err)
{
	static const char *const argv[] = { "/bin/sh", "-c", "cat >/dev/null", NULL };
	struct spawn_fd fds[1];
	struct spawn s = { .argv = argv, .fds = fds, .fd_count = 1 };
	int pair[2];
	bool done;

	if (!wire_pair(pair, err))
		return false;
	fds[0] = (struct spawn_fd){ pair[1], STDIN_FILENO };
	done = spawn_start(pid_out, &s, err);
	close(pair[1]);
	*socket_out = pair[0];
	return done;
}

static const struct supervisor_hooks hooks = { .run = fake_run, .spawn_worker = fake_worker };
static const struct job_settings settings = { .worker_user = "root" };

static pid_t start_agent(const struct place *p, uint32_t poll_s)
{
	pid_t pid = fork();
	struct err err;

	if (pid == 0) {
		const struct supervisor_options o = {
			.state_dir = p->dir,
			.settings = &settings,
			.poll_s = poll_s,
			.clock = clock_system(),
			.hooks = &hooks,
		};

		_exit(supervisor_serve(&o, &err) ? 0 : err.code == ERR_LOCKED ? 7 : 8);
	}
	return pid;
}

static int reach(const struct place *p)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", p->dir);
	for (int waited = 0; waited < WAIT_MS; waited += 10) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		pause_ms(10);
	}
	fail_msg("no agent listens");
	return -1;
}

/* The last frame of the answer; NULL: whoever listened has gone. */
static json_t *try_asking(const struct place *p, const char *verb, struct err *err)
{
	SCOPED_FD int fd = reach(p);
	json_auto_t *request = json_pack("{s:s}", "op", verb);

	if (!wire_send_json(fd, request, -1, err))
		return NULL;
	for (;;) {
		json_t *frame = NULL;

		if (wire_receive_json(&frame, NULL, fd, WAIT_MS, err) != WIRE_FRAME)
			return NULL;
		if (jsondoc_text(frame, "event") == NULL)
			return frame;
		json_decref(frame);
	}
}

static json_t *ask(const struct place *p, const char *verb)
{
	struct err err = { 0 };
	json_t *frame = try_asking(p, verb, &err);

	if (frame == NULL)
		fail_msg("no answer: %s", err.why);
	return frame;
}

/* The socket of an agent that was killed may be there for a moment, and so may a child of its that
 * has it open. */
static json_t *ask_once_it_answers(const struct place *p, const char *verb)
{
	struct err err = { 0 };
	json_t *frame = NULL;

	for (int waited_ms = 0; frame == NULL && waited_ms < WAIT_MS; waited_ms += 10) {
		frame = try_asking(p, verb, &err);
		if (frame == NULL)
			pause_ms(10);
	}
	if (frame == NULL)
		fail_msg("no answer: %s", err.why);
	return frame;
}

static size_t requests(const struct place *p)
{
	SCOPED(buf) struct buf text = { 0 };
	struct span rest, line;
	size_t count = 0;
	struct err err;

	if (!path_read(&text, p->log, 1u << 20, &err))
		return 0;
	for (rest = buf_span(&text); span_take_line(&rest, &line);)
		count++;
	return count;
}

static bool wait_for_requests(const struct place *p, size_t count)
{
	for (int waited = 0; waited < WAIT_MS; waited += 10) {
		if (requests(p) >= count)
			return true;
		pause_ms(10);
	}
	return false;
}

static void stop_agent(pid_t pid)
{
	int status = -1;

	kill(pid, SIGTERM);
	assert_int_equal(spawn_wait(&status, pid, WAIT_MS), SPAWN_ENDED);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void commands_are_answered(void **state)
{
	struct place *p = *state;
	pid_t agent = start_agent(p, 86400);
	json_auto_t *fine = ask(p, "locate"), *bad = ask(p, "fail");
	json_t *done = json_object_get(fine, "done");

	assert_string_equal(jsondoc_text(done, "verb"), "locate");
	assert_int_equal(jsondoc_int(done, "caller", -1), geteuid());
	assert_true(jsondoc_flag(done, "worker", false));
	assert_string_equal(jsondoc_text(json_object_get(bad, "error"), "code"), "PW-NO-CANDIDATE");
	stop_agent(agent);
}

static void one_that_hangs_keeps_nobody(void **state)
{
	struct place *p = *state;
	pid_t agent = start_agent(p, 86400);
	SCOPED_FD int silent = reach(p);
	SCOPED_FD int hanging = reach(p);
	json_auto_t *request = json_pack("{s:s}", "op", "hang");
	json_auto_t *fine = NULL;
	struct err err;

	assert_done(wire_send_json(hanging, request, -1, &err), &err);
	fine = ask(p, "locate");
	assert_non_null(json_object_get(fine, "done"));
	stop_agent(agent);
	assert_true(silent >= 0);
}

#define GUEST 65534

/* As another user: connects, sends the verb, and keeps the line. */
static int ask_as_guest(const struct place *p, const char *verb)
{
	json_auto_t *request = json_pack("{s:s}", "op", verb);
	struct err err;
	int fd;

	assert_int_equal(chmod(p->dir, 0755), 0);
	assert_int_equal(seteuid(GUEST), 0);
	fd = reach(p);
	assert_int_equal(seteuid(0), 0);
	assert_done(wire_send_json(fd, request, -1, &err), &err);
	return fd;
}

static bool comes_to_children(pid_t pid, size_t wanted)
{
	SCOPED_TEXT char *path = alloc_printf("/proc/%d/task/%d/children", pid, pid);

	for (int waited = 0; waited < WAIT_MS; waited += 10) {
		SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
		char text[512] = "";
		size_t count = 0;

		assert_true(read(fd, text, sizeof(text) - 1) >= 0);
		for (const char *c = text; *c != '\0'; c++)
			count += *c == ' ';
		if (count == wanted)
			return true;
		pause_ms(10);
	}
	return false;
}

static void a_guest_that_hangs_keeps_the_worker_from_nobody(void **state)
{
	struct place *p = *state;
	json_auto_t *before = NULL, *beside = NULL;
	SCOPED_FD int hanging = -1;
	pid_t agent;

	if (geteuid() != 0)
		skip();
	agent = start_agent(p, 86400);
	before = ask(p, "locate");
	assert_true(jsondoc_flag(json_object_get(before, "done"), "worker", false));
	/* Until the agent has seen the end of that job: the worker is left. */
	assert_true(comes_to_children(agent, 1));
	hanging = ask_as_guest(p, "hang");
	assert_true(wait_for_requests(p, 2));
	beside = ask(p, "locate");
	assert_false(jsondoc_flag(json_object_get(beside, "done"), "worker", true));
	stop_agent(agent);
}

/* As one whose program runs for hours. */
static void a_guest_that_let_go_of_the_worker_keeps_it_from_nobody(void **state)
{
	struct place *p = *state;
	SCOPED_FD int waiting = -1;
	pid_t agent;

	if (geteuid() != 0)
		skip();
	agent = start_agent(p, 86400);
	waiting = ask_as_guest(p, "let-go");
	assert_true(wait_for_requests(p, 1));
	for (int waited = 0;; waited += 10) {
		json_auto_t *beside = ask(p, "locate");

		if (jsondoc_flag(json_object_get(beside, "done"), "worker", false))
			break;
		assert_true(waited < WAIT_MS);
		pause_ms(10);
	}
	stop_agent(agent);
}

static void guests_never_take_all_places(void **state)
{
	struct place *p = *state;
	json_auto_t *refused = NULL, *fine = NULL;
	int lines[SUPERVISOR_GUESTS_MAX + 1];
	struct err err;
	pid_t agent;

	if (geteuid() != 0)
		skip();
	agent = start_agent(p, 86400);
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		lines[i] = ask_as_guest(p, "hang");
	assert_int_equal(
		wire_receive_json(&refused, NULL, lines[SUPERVISOR_GUESTS_MAX], WAIT_MS, &err),
		WIRE_FRAME);
	assert_string_equal(jsondoc_text(json_object_get(refused, "error"), "code"), "PW-LOCKED");
	fine = ask(p, "locate");
	assert_non_null(json_object_get(fine, "done"));
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		close(lines[i]);
	stop_agent(agent);
}

static void only_one_agent_serves_a_state(void **state)
{
	struct place *p = *state;
	pid_t agent = start_agent(p, 86400), second;
	int fd = reach(p), status = 0;

	close(fd);
	second = start_agent(p, 86400);
	assert_int_equal(spawn_wait(&status, second, WAIT_MS), SPAWN_ENDED);
	assert_int_equal(WEXITSTATUS(status), 7);
	stop_agent(agent);
}

/* KB Q275617: what a dead agent leaves blocks nobody. */
static void a_killed_agent_leaves_no_lock(void **state)
{
	struct place *p = *state;
	pid_t agent = start_agent(p, 86400);
	json_auto_t *fine = NULL;
	int fd = reach(p);

	close(fd);
	kill(agent, SIGKILL);
	assert_int_equal(spawn_wait(NULL, agent, WAIT_MS), SPAWN_ENDED);
	agent = start_agent(p, 86400);
	fine = ask_once_it_answers(p, "locate");
	assert_non_null(json_object_get(fine, "done"));
	stop_agent(agent);
}

static void cycles_come_at_their_interval(void **state)
{
	struct place *p = *state;
	pid_t agent = start_agent(p, 1);

	assert_true(wait_for_requests(p, 3));
	stop_agent(agent);
}

/* An identity whose turn in the spread comes late: 47 s after the start. */
static void be_late(const struct place *p)
{
	const struct state st = { .dir = (char *)(uintptr_t)p->dir };
	const struct state_identity id = {
		.enrolment = STATE_ENROLLED,
		.client = "00000000000000000000000000000007",
		.site = "LON",
		.stream = "00000000000000000000000000000008",
	};
	struct err err;

	assert_true(supervisor_first_delay(86400, id.client) > 40000);
	assert_done(state_save_identity(&st, &id, &err), &err);
}

/* A run that ends while nobody asks is told at once, not at the next poll. */
static void an_ended_run_starts_a_cycle(void **state)
{
	struct place *p = *state;
	SCOPED_TEXT char *folder = path_join(p->dir, "journal/LON20001-1-1");
	SCOPED_TEXT char *result = path_join(folder, "result");
	struct err err;
	pid_t agent;
	int fd;

	assert_done(path_make_dirs(folder, 0700, &err), &err);
	be_late(p);
	agent = start_agent(p, 86400);
	fd = reach(p);
	close(fd);
	assert_true(wait_for_requests(p, 0));
	pause_ms(100);
	assert_int_equal(requests(p), 0);
	assert_done(newfile_write(result, 0600, span_of("{}", 2), &err), &err);
	assert_true(wait_for_requests(p, 1));
	/* The end cannot be told (nobody settles it here): that must not become a loop. */
	pause_ms(300);
	assert_int_equal(requests(p), 1);
	stop_agent(agent);
}

/* A FUSE mount that nobody serves, in a mount table of our own; false where we may not. */
static bool mount_share(const char *at)
{
	SCOPED_FD int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	SCOPED_TEXT char *options = alloc_printf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);

	return fuse >= 0 && mount("//dp1/packway", at, "fuse", 0, options) == 0;
}

static bool have_own_mounts(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* What waits for a server may have been waiting for this one; but not once a mount, a minute at
 * least between two such cycles. */
static void a_mount_that_appears_ends_a_wait(void **state)
{
	const char waiting[] = "{\"LON20001\":{\"text\":\"waits\"}}";
	struct place *p = *state;
	struct err err;
	pid_t agent;
	bool mounted;

	/* Before anything is allocated: skipping releases nothing. */
	if (!have_own_mounts())
		skip();
	SCOPED_TEXT char *waits = path_join(p->dir, "waits.json");
	SCOPED_TEXT char *at = path_join(p->dir, "mnt");

	assert_done(path_make_dirs(at, 0700, &err), &err);
	assert_done(newfile_write(waits, 0600, span_of_text(waiting), &err), &err);
	be_late(p);
	agent = start_agent(p, 86400);
	close(reach(p));
	pause_ms(200);
	assert_int_equal(requests(p), 0);
	mounted = mount_share(at);
	assert_true(!mounted || wait_for_requests(p, 1));
	if (mounted)
		(void)umount2(at, MNT_DETACH);
	mounted = mounted && mount_share(at);
	pause_ms(300);
	(void)umount2(at, MNT_DETACH);
	assert_int_equal(requests(p), mounted ? 1 : 0);
	stop_agent(agent);
}

static void a_mount_starts_nothing_where_nothing_waits(void **state)
{
	struct place *p = *state;
	struct err err;
	pid_t agent;

	if (!have_own_mounts())
		skip();
	SCOPED_TEXT char *at = path_join(p->dir, "mnt");

	assert_done(path_make_dirs(at, 0700, &err), &err);
	be_late(p);
	agent = start_agent(p, 86400);
	close(reach(p));
	(void)!mount_share(at);
	pause_ms(300);
	(void)umount2(at, MNT_DETACH);
	assert_int_equal(requests(p), 0);
	stop_agent(agent);
}

/* KB Q245723: not all clients at once. */
static void polls_are_spread(void **state UNUSED)
{
	uint64_t slots[10] = { 0 };

	for (int i = 0; i < 1000; i++) {
		char client[33];
		uint64_t next, delay;

		snprintf(client, sizeof(client), "%032x", i * 7919);
		next = supervisor_next_poll(5000000, 900, client);
		delay = supervisor_first_delay(900, client);
		assert_in_range(next, 5000001, 5000000 + 900000);
		assert_int_equal(supervisor_next_poll(next, 900, client), next + 900000);
		assert_true(delay < 60000);
		slots[(next - 5000000 - 1) / 90000]++;
	}
	for (size_t i = 0; i < COUNT_OF(slots); i++)
		assert_in_range(slots[i], 60, 140);
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(commands_are_answered), CASE(one_that_hangs_keeps_nobody),
	     CASE(a_guest_that_hangs_keeps_the_worker_from_nobody),
	     CASE(a_guest_that_let_go_of_the_worker_keeps_it_from_nobody),
	     CASE(guests_never_take_all_places), CASE(only_one_agent_serves_a_state),
	     CASE(a_killed_agent_leaves_no_lock), CASE(cycles_come_at_their_interval),
	     CASE(an_ended_run_starts_a_cycle), CASE(a_mount_that_appears_ends_a_wait),
	     CASE(a_mount_starts_nothing_where_nothing_waits), cmocka_unit_test(polls_are_spread), )
