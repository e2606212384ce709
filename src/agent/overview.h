/*
 * What a client can tell from its state alone, without a worker: what is offered, how it is, what
 * happened, what it is. Each caller owns what it gets.
 *
 * No network, database or cryptography.
 */
#ifndef AGENT_OVERVIEW_H
#define AGENT_OVERVIEW_H

#include <stdbool.h>

#include "agent/job.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

/* What is offered to this client, with the state, reason and time of each. */
bool overview_list(json_t **out, const struct state *st, const struct clock *clock, struct err *err)
	MUST_USE;

/* How this client is: enrolment, trust, records that wait. */
bool overview_status(json_t **out, const struct state *st, const struct clock *clock,
		     struct err *err) MUST_USE;

/* What happened here, oldest first: status messages, with the names that the site's list has. */
bool overview_messages(json_t **out, const struct state *st, struct err *err) MUST_USE;

/* What the site is told of this machine. */
bool overview_inventory(json_t **out, const struct job_settings *settings, struct err *err)
	MUST_USE;

#endif
