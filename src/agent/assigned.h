/*
 * plan.json: what the offline child said is this client's (docs/ARCHITECTURE.md 4), as the facts
 * that scheduling wants, and what was told about each assignment before.
 *
 * No network, database or cryptography.
 */
#ifndef AGENT_ASSIGNED_H
#define AGENT_ASSIGNED_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/schedule.h"
#include "agent/state.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

struct assigned {
	json_t *doc;   /* the plan; texts of the rest are borrowed from it */
	json_t *told;  /* advertisement → what its last record said; kept in told.json */
	json_t *waits; /* advertisement → {"text","until"} of its content; kept in waits.json */
	struct schedule_assignment *assignments;
	struct schedule_content *contents;
	size_t count;
	int64_t expires_s; /* of the trusted policy */
};

/* Read plan.json and its companions. Without a plan there are no assignments. `out` needs no
 * initial value. */
bool assigned_load(struct assigned *out, const struct state *st, struct err *err) MUST_USE;
void assigned_release(struct assigned *p);
static inline void assigned_scoped(struct assigned *p)
{
	assigned_release(p);
}

/* The whole assignment of an index; borrowed. */
const json_t *assigned_row(const struct assigned *p, size_t index);

/* Index of the first assignment from `from` on of that package and program; SIZE_MAX: there is
 * none. */
size_t assigned_find(const struct assigned *p, const char *package, const char *program,
		     size_t from);

/* Note that the content of an assignment is not to be had now, and why; kept by assigned_save. */
void assigned_set_wait(struct assigned *p, size_t index, const char *text, int64_t until_s);
void assigned_set_ready(struct assigned *p, size_t index);

/* True if nothing was told about this assignment and serial yet. */
bool assigned_is_new(const struct assigned *p, size_t index);

/* True if `state` is the last that was told about this assignment and serial. */
bool assigned_is_told(const struct assigned *p, size_t index, const char *state);

/* Note that `state` was told. */
void assigned_tell(struct assigned *p, size_t index, const char *state);

/*
 * A key for the record that tells `state`: the same until the next assigned_save, so that a record
 * made again after a kill is known. The caller frees it.
 */
char *assigned_key(const struct assigned *p, size_t index, const char *state) MUST_USE;

/* Keep what was told and what waits; entries of assignments that are gone go. */
bool assigned_save(const struct assigned *p, const struct state *st, struct err *err) MUST_USE;

#endif
