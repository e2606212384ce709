/*
 * The agent's worker for a process that goes on by itself (packway-mount): with a line to it, it is
 * asked over the sessions that the agent holds open already. Only root and the state's owner get
 * one. The agent need not be there; whoever asks is to be able to do without at any time.
 */
#ifndef AGENT_LEASE_H
#define AGENT_LEASE_H

#include <stdbool.h>

#include "agent/job.h"
#include "common/macros.h"

/*
 * Get the job a line to the shared worker of the state's agent, in the place of whatever worker it
 * has. False, and nothing has changed: there is no agent, or it gives none just now. Blocks for a
 * second or two at most.
 */
bool lease_take(struct job *job) MUST_USE;

#endif
