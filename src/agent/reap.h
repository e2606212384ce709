/*
 * The parent of one run: starts the program of an intent, keeps its output, ends it at its time
 * limit, waits for its whole process tree and writes the result.
 *
 * It is a process of its own, in a session of its own, and a child of nobody: the death of the
 * agent does not reach it or the program. If it is killed itself, the program goes on, keeps the
 * lock and the pin, and its run counts as interrupted when the last process is gone; its time limit
 * is then kept by whoever looks at the runs (orphan.h). Linux only (child subreaper).
 */
#ifndef AGENT_REAP_H
#define AGENT_REAP_H

#include "common/macros.h"

#define REAP_OPTION  "--reap" /* packway-agent --reap FOLDER */
#define REAP_LOCK_FD 3        /* where the run's lock is handed over, held */
#define REAP_PIN_FD  4        /* where the pin of the content is, if there is one */
#define REAP_GRACE_S 10       /* between the polite and the impolite end of a program */

/*
 * Run the intent in `folder` (an absolute path). The calling process returns at once with exit code
 * 0 when a child has taken over, else with 1; the child writes `result` and exits.
 */
int reap_main(const char *folder);

#endif
