/*
 * Which assignment `packway run PACKAGE PROGRAM` means, and whether it may run now.
 *
 * No network, database or cryptography.
 */
#ifndef AGENT_OFFER_H
#define AGENT_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/assigned.h"
#include "agent/schedule.h"
#include "common/error.h"
#include "common/jsondoc.h"

/*
 * Find the assignment of the request's "package" and "program" that `caller` may run by hand now,
 * as if its content were here; the verdict's reason is SCHEDULE_BUSY where another program has to
 * end first, else it is due. ERR_NOT_FOUND: nothing of that name is offered to this caller;
 * ERR_REFUSED: it may not run now, and why.
 */
bool offer_find(size_t *index_out, struct schedule_verdict *verdict_out,
		const struct assigned *plan, const struct schedule_facts *facts, uid_t caller,
		const json_t *request, struct err *err) MUST_USE;

#endif
