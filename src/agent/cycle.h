/*
 * The client's cycle: policy, what is due by it, content, runs, records.
 *
 *     refresh → collect what ran → evaluate → fetch and run what is due → deliver records
 *
 * Each step is durable before the next and may be done again after a kill. A step that fails for
 * want of a server does not keep the later ones from doing what they can with what is trusted.
 *
 * A cycle does not wait for a program that takes its time: the rest goes on while it runs, and the
 * next program has its turn in the cycle after its end. Programs run one after another. A person's
 * request waits for them without the cycle's lock.
 *
 * Links no network, database or cryptography: it is part of the supervisor.
 */
#ifndef AGENT_CYCLE_H
#define AGENT_CYCLE_H

#include "agent/job.h"

/*
 * The verbs `sync` and `run` of job_run. `sync`: {"for_person"?} →
 * {"state","changed","ran","waiting","failed","sent","running","untold"}. `run`:
 * {"package","program"} →
 * {"outcome","exit","restart_pending"}; a program that failed is ERR_PROGRAM.
 */
job_verb_fn cycle_sync;
job_verb_fn cycle_run;

#endif
