/*
 * quiet.json: what the last cycle that looked at everything found, and until when nothing of it can
 * change by itself, so that an unchanged cycle need not look at ten thousand assignments to find
 * that out.
 *
 * It holds for one set of inputs (policy, inventory, identity). As long as a run is not settled
 * there is none: others may wait for it.
 */
#ifndef AGENT_QUIET_H
#define AGENT_QUIET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/state.h"
#include "common/macros.h"

struct quiet {
	int64_t next_s;    /* when a time in the policy is met; SCHEDULE_NEVER: none is */
	int64_t expires_s; /* of the trusted policy */
	size_t waiting;    /* assignments */
	size_t failed;
};

/* True if a note for these inputs holds at `now_s`; it is in `out` then. */
bool quiet_holds(struct quiet *out, const struct state *st, const char *inputs, int64_t now_s)
	MUST_USE;

/* Keep a note; with `inputs` NULL it holds for none, and the counts alone are kept. */
void quiet_keep(const struct state *st, const struct quiet *q, const char *inputs, int64_t now_s);

/* The next cycle looks at everything. */
void quiet_forget(const struct state *st);

#endif
