/*
 * Start a program by the journal, and collect what came of the runs there are.
 *
 * The order is that of DESIGN: intent → a process of its own (reap.h), which writes `started` and
 * executes → result → records in the outbox → settled. Each step is durable before the next, and
 * each may be done again after a kill.
 */
#ifndef AGENT_RUN_H
#define AGENT_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/journal.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

struct run_request {
	/*
	 * The plan's assignment (docs/ARCHITECTURE.md 4): advertisement, serial, package, version,
	 * program, command, timeout_s, success, restart and as are taken from it. Borrowed.
	 */
	const json_t *assignment;
	const char *content; /* absolute path of the verified content */
	const char *client;  /* its id */
	const char *way;     /* how the content came; may be NULL */
	enum journal_again again;
	const char *reaper; /* packway-agent's path (common/helper.h) */
	int pin;            /* of the content (store_pin); the run's processes keep it; -1: none */
};

enum run_start {
	RUN_STARTED, /* its own processes have it now; run_collect will see the end */
	RUN_HAS_RUN, /* `again` forbids another run of this key */
	RUN_IS_BUSY, /* it is running */
	RUN_FAULT,   /* see err; nothing was started, and it may be tried again */
};

/*
 * Start one run of content that the caller has just verified. Blocks for some milliseconds. An
 * account that is not there, a command that cannot be split and the like are outcomes of the run
 * (not-started), not faults of this call.
 */
enum run_start run_start(struct journal *j, const struct run_request *request,
			 const struct clock *clock, struct err *err) MUST_USE;

/*
 * Take a record of a run (docs/ARCHITECTURE.md 6; borrowed). `key` names it: a record whose key is
 * known already must not be added again. False: not kept, ask again later.
 */
typedef bool run_record_fn(const json_t *record, const char *key, void *ctx, struct err *err);

/*
 * All runs (journal_load). A run that lost its parent and is over its time limit is being ended by
 * this, and by run_collect (orphan.h): so look again and again while one is running.
 */
bool run_load(struct journal_list *out, const struct journal *j, struct err *err) MUST_USE;

#define RUN_FOR_EVER UINT64_MAX

/* A run by what it is of. */
struct run_key {
	char advertisement[9];
	uint64_t serial;
};

/*
 * Block until nothing in the journal `dir` runs any more, or, with `only`, no run of that key.
 * Tells and settles nothing, so that others may do so meanwhile. ERR_LOCKED after `limit_ms`.
 */
bool run_wait(const char *dir, const struct run_key *only, uint64_t limit_ms,
	      const struct clock *clock, struct err *err) MUST_USE;

/* Sleep between two looks at a program: short at first (0 before the first), then longer. */
void run_pause(unsigned int *look_ms);

struct run_summary {
	size_t running; /* not ended yet */
	size_t ended;   /* settled by this call */
};

/*
 * Look at every run that is not settled: tell starts (10005) and ends (10006, 10008, 10004, 11006)
 * that were not told, then settle. What could not be told stays for the next call, and the fault
 * of the first such is returned. Call it before anything is uploaded.
 */
bool run_collect(struct run_summary *out, struct journal *j, const struct clock *clock,
		 run_record_fn *record, void *ctx, struct err *err) MUST_USE;

#endif
