/*
 * packway-agent: the process behind `packway agent`. It keeps the schedule, answers on the control
 * socket, holds the worker whose sessions outlive a request, and sees runs end. Everything else
 * happens in a child per request, so that this process stays small and cannot be held up.
 *
 * The worker that jobs share does one thing at a time. Whoever is not root or the owner is a guest:
 * a guest's job has the worker alone or gets one of its own, and guests together never take all
 * places. So no guest's slow fetch holds up the schedule or the owner.
 *
 * It opens no network connection and parses nothing that came from one. One thread, one poll loop;
 * between two polls of the site it does not wake.
 */
#ifndef AGENT_SUPERVISOR_H
#define AGENT_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/job.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/macros.h"

#define SUPERVISOR_POLL_S     900 /* between two polls of the site */
#define SUPERVISOR_POLL_MIN_S 1
#define SUPERVISOR_POLL_MAX_S 86400
#define SUPERVISOR_JOBS_MAX   16 /* at a time; further commands wait in the socket's queue */
#define SUPERVISOR_GUESTS_MAX 8  /* of them for others than root and the owner */

/* What the supervisor has others do; seams for tests. The defaults are those of job.h. */
struct supervisor_hooks {
	/* In a child: do one request. As job_run. */
	bool (*run)(json_t **result_out, struct job *job, const json_t *request, struct err *err);
	/* Start the shared worker. As job_spawn_worker with JOB_WORKER_NETWORK. */
	bool (*spawn_worker)(int *socket_out, pid_t *pid_out, const struct job *job,
			     struct err *err);
};

struct supervisor_options {
	const char *state_dir;
	const struct job_settings *settings;
	uint32_t poll_s; /* 0: as policy says, else SUPERVISOR_POLL_S */
	const struct clock *clock;
	const struct supervisor_hooks *hooks;
};

/*
 * Serve until SIGTERM or SIGINT; then end the jobs and the worker, but no program. ERR_LOCKED if
 * another agent serves this state.
 */
bool supervisor_serve(const struct supervisor_options *options, struct err *err) MUST_USE;

/*
 * When to poll next: the first moment after `now_ms` that lies `phase_ms` behind a multiple of the
 * interval, so that clients that start together spread over the interval (KB Q245723).
 */
uint64_t supervisor_next_poll(uint64_t now_ms, uint32_t poll_s, const char *client);

/* How long the first poll after a start is put off: up to a tenth of the interval, 60 s at most. */
uint64_t supervisor_first_delay(uint32_t poll_s, const char *client);

#endif
