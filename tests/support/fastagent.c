/*
 * The agent by fastclock.h:
 *
 *     PACKWAY_FAKE_TIME=BASE*RATE fastagent STATE POLLS
 *
 * Supervisor, jobs and worker are the real ones; only their clocks run RATE times as fast since the
 * time BASE. Each poll appends a line to the file POLLS: the time at which it began. Beside this
 * program stand packway-agent and fastworker as packway-worker.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/job.h"
#include "agent/supervisor.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "support/fastclock.h"

#define LOOK_US  5000  /* between two looks at the fast clock */
#define LINGER_S 86400 /* the worker is the same from poll to poll */

/* The supervisor waits in real time: it is woken often, and looks whether its time has come. */
static void wake(int signal UNUSED) {}

static void look_often(void)
{
	const struct timeval step = { .tv_usec = LOOK_US };
	const struct itimerval timer = { .it_interval = step, .it_value = step };
	const struct sigaction act = { .sa_handler = wake };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void note_poll(void)
{
	SCOPED_FD int fd = open(getenv("FASTAGENT_POLLS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	SCOPED_TEXT char *line = alloc_printf("%" PRId64 "\n", clock_wall_s(clock_system()));
	struct err err;

	if (!path_write_fd(fd, span_of_text(line), &err))
		log_error(&err);
}

static bool run(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	const char *verb = jsondoc_text(request, "op");

	if (verb != NULL && strcmp(verb, "sync") == 0 && !jsondoc_flag(request, "for_person", true))
		note_poll();
	return job_run(result_out, job, request, err);
}

static bool spawn_worker(int *socket_out, pid_t *pid_out, const struct job *job, struct err *err)
{
	return job_spawn_worker(socket_out, pid_out, job, JOB_WORKER_NETWORK, err);
}

int main(int argc, char **argv)
{
	static const struct supervisor_hooks hooks = { .run = run, .spawn_worker = spawn_worker };
	static const struct job_settings settings = { .linger_s = LINGER_S, .address = "10.1.0.1" };
	uint64_t rate;
	const struct clock clock = fastclock(&rate);
	struct supervisor_options options = {
		.settings = &settings,
		.clock = &clock,
		.hooks = &hooks,
	};
	struct err err = { 0 };

	log_setup("fastagent", LOG_NORMAL);
	if (argc != 3)
		return EXIT_USAGE;
	options.state_dir = argv[1];
	setenv("FASTAGENT_POLLS", argv[2], 1);
	look_often();
	if (supervisor_serve(&options, &err))
		return EXIT_DONE;
	log_error(&err);
	return (int)err_exit(err.code);
}
