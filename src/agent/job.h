/*
 * One piece of work of a client (a cycle, a fetch, a question), the same with an agent and
 * without: a command that finds no agent runs a job in its own process; the supervisor forks a
 * child per request and runs the job there, with the worker's sessions shared.
 *
 * A job blocks. It talks to a worker through `worker` (docs/ARCHITECTURE.md 7) and starts offline
 * children of its own. Events (progress, records, decisions) go to `event` as they happen.
 *
 * Links no network, database or cryptography: it is part of the supervisor.
 */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/state.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

/* What configuration says to a job and to the workers that it starts. Texts are borrowed. */
struct job_settings {
	uint32_t linger_s;   /* of sessions after their last use */
	const char *address; /* replaces this machine's addresses, comma-separated; NULL: look */
	const char *name;    /* replaces the host's name in inventory; NULL: look */
	const char *mounts;  /* mount table to read; NULL: the process's own */
	const char *tls_ca;  /* certificates to trust beside the system's; NULL: none */
	const char *worker_user; /* account of root's workers (workroom.h); NULL: the default */
	const char *enroll_dir;  /* bundles to enrol by, where there is no identity yet */
	uint64_t quota_bytes;    /* of the content store; 0: none */
};

/* A keeper that a worker has asked for, or will (keeper.h). */
struct job_keeper {
	pid_t pid; /* 0: none, and nothing else is set */
	int socket;
	int givers; /* the worker's line to it, until it goes with a question or is asked for; -1 */
};

/* Told of each event; `event` is borrowed for the call. False: nobody listens any more. */
typedef bool job_event_fn(const json_t *event, void *ctx);

struct job {
	const struct state *state;
	const struct job_settings *settings;
	const struct clock *clock;
	int worker;       /* socket of a worker; -1: one is started when it is first needed */
	int worker_token; /* closed with a shared worker's line, for whoever has the other end; -1
			   */
	pid_t worker_pid; /* 0 unless this job started it */
	struct job_keeper keeper;
	int recent;     /* memory for keepers to land in (content/recent.h), borrowed; 0: none */
	pid_t settling; /* a keeper that is done and flushes behind; 0: none */
	uid_t caller;   /* on whose behalf */
	int passed;     /* a descriptor that came with the request; 0: none */
	int passes;     /* one that is to go with the answer, borrowed; 0: none */
	bool nobody_listens; /* `event` said so */
	bool for_person;     /* somebody waits for it; false: the agent's own schedule */
	job_event_fn *event;
	void *event_ctx;
};

/*
 * Run the verb `name` ("sync", "fetch", "locate", "connections", "doctor", "probe", "run",
 * "enroll", "verify", "mount", "lease", "rekey") with the request's members as in
 * docs/ARCHITECTURE.md 7. The caller owns *result_out. Unknown verbs are ERR_USAGE.
 */
bool job_run(json_t **result_out, struct job *job, const json_t *request, struct err *err) MUST_USE;

/* Close the line to the worker, and end a worker that the job itself started, and its keeper. */
void job_finish(struct job *job);

/* One verb of job_run. */
typedef bool job_verb_fn(json_t **result_out, struct job *job, const json_t *request,
			 struct err *err);

enum job_worker_kind {
	JOB_WORKER_NETWORK,
	JOB_WORKER_OFFLINE, /* answers one request without network */
	JOB_WORKER_KEEPER,  /* the same, and keeps content (keeper.h) */
};

/* Start a worker for this state: the caller closes *socket_out, which ends it, and reaps *pid_out.
 */
bool job_spawn_worker(int *socket_out, pid_t *pid_out, const struct job *job,
		      enum job_worker_kind kind, struct err *err) MUST_USE;

/* Start a worker, if there is none: it gets ready while other things are done. */
bool job_need_worker(struct job *job, struct err *err) MUST_USE;

/*
 * One request to the worker (started if need be): events are passed on, the answer is the result.
 * Waits for it as long as it takes. A shared worker that ends meanwhile is replaced by one of the
 * job's own, which is asked again; a broken line is never read again.
 */
bool job_ask_worker(json_t **result_out, struct job *job, const json_t *request, struct err *err)
	MUST_USE;

/*
 * One request to the shared worker that `job` has a line to, and to nobody else. ERR_INTERRUPTED,
 * with the line closed: it has ended, or it has work of others and did not begin within `begin_ms`.
 */
bool job_ask_shared(json_t **result_out, struct job *job, const json_t *request, int begin_ms,
		    struct err *err) MUST_USE;

/* True if the job has a line to a worker that others share. */
bool job_is_sharing(const struct job *job);

/* One request to a fresh child without network, which ends with its answer. */
bool job_ask_offline(json_t **result_out, struct job *job, const json_t *request, struct err *err)
	MUST_USE;

#endif
