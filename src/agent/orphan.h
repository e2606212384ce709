/*
 * Runs whose parent (reap.h) was killed: the program goes on, and nobody keeps its time limit. So
 * whoever looks at the runs keeps it: processes of the tree are those that have the run's lock
 * open, whatever session or parent they went to. One that closed the lock is out of reach, and for
 * the journal as well.
 *
 * How the program would have ended is not known any more: its outcome is an interruption.
 *
 * Linux only (/proc, pidfd).
 */
#ifndef AGENT_ORPHAN_H
#define AGENT_ORPHAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/jsondoc.h"

enum orphan {
	ORPHAN_NONE,    /* not started, ended, or its parent lives */
	ORPHAN_ALONE,   /* nobody keeps its time limit */
	ORPHAN_OVERDUE, /* and that is over: it is being ended */
};

#define ORPHAN_MARK "overdue" /* in the run's folder: when the program was asked to end */

/*
 * Hold the parent's mark of life: an open `started`, until the calling process and what it forked
 * have ended or executed another program. False: errno says why.
 */
bool orphan_hold(int started_fd);

/* True if the run in `folder` came to its start, goes on, and its parent is gone. */
bool orphan_is_alone(const char *folder);

/*
 * Keep the time limit of one run by its intent (`timeout_s`, `grace_s`): SIGTERM to all of its
 * processes when it is over, SIGKILL after the grace and at every later call. `boot_ms` is the time
 * since the boot (orphan_boot_ms). Without a limit nothing is ended.
 */
enum orphan orphan_tend(const char *folder, const json_t *intent, uint64_t boot_ms);

/* Milliseconds since the boot, suspension included: no change of the clock moves it. */
uint64_t orphan_boot_ms(void);

#endif
