/*
 * What a client tells its site about its policy and its assignments: each change once, whatever is
 * killed when. A record's key makes it known to the outbox before told.json (assigned.h) is saved.
 *
 * A full outbox is no reason to stop: what found no room is told later, and `untold` says so.
 *
 * No network, database or cryptography.
 */
#ifndef AGENT_TELLER_H
#define AGENT_TELLER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/assigned.h"
#include "agent/job.h"
#include "agent/outbox.h"
#include "agent/schedule.h"
#include "common/error.h"
#include "common/jsondoc.h"

/* Everything is borrowed. */
struct teller {
	struct job *job;       /* whose state and clock; its listener hears of each record */
	const char *stream;    /* of the identity */
	struct assigned *plan; /* what was told is noted there */
	bool untold;           /* a record found no room */
};

/* The client's outbox, waiting for whoever has it open. */
bool teller_open(struct outbox **out, const struct teller *t, struct err *err) MUST_USE;

/*
 * Keep one record by its key: a run_record_fn, with a teller as `ctx`. ERR_OUTBOX_FULL: there is no
 * room; what a run tells has some of its own.
 */
bool teller_keep(const json_t *record, const char *key, void *ctx, struct err *err) MUST_USE;

/* 11001 if the trusted policy's version, and 10018 if what policy refuses, is another than in the
 * plan `before`. */
void teller_policy(struct teller *t, const json_t *before, const json_t *now);
void teller_refused(struct teller *t, const json_t *before, const json_t *now);

/* 10002 for every assignment that nothing was told about: before anything is done about it. */
bool teller_received(struct teller *t, struct err *err) MUST_USE;

/* What a verdict about one assignment is worth: 10018, 10019, 11005 or 11010, if it is new. */
void teller_verdict(struct teller *t, struct outbox *outbox, size_t index,
		    const struct schedule_verdict *v);

/* Queue the inventory (inventory.h), unless it is the one that was queued last and is not lost. */
void teller_inventory(const struct teller *t, json_t *inventory);

#endif
