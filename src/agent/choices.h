/*
 * Decision records and preferences in the client's state: what `packway explain` and `packway
 * prefer` read, and the worker writes.
 *
 * Decisions are files of their own under STATE/decisions, named by a growing number; the newest
 * CHOICES_KEPT stay.
 */
#ifndef AGENT_CHOICES_H
#define AGENT_CHOICES_H

#include <stdbool.h>

#include "agent/state.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "nal/preference.h"

#define CHOICES_KEPT 200

/*
 * Keep a decision: its "id" is set, which is also its file's name. `decision` is borrowed. A full
 * disk is no reason to fail a fetch, so callers may warn and go on.
 */
bool choices_save(const struct state *st, json_t *decision, struct err *err) MUST_USE;

/*
 * The decision of that id, or the newest one about that package ("cap" for policy), or with NULL
 * the newest about a package, else the newest. ERR_NOT_FOUND. The caller owns *out.
 */
bool choices_load(json_t **out, const struct state *st, const char *which, struct err *err)
	MUST_USE;

/* The client's own preferences; none is fine. `out` is empty before and released by the caller. */
bool choices_load_preference(struct preference *out, const struct state *st, struct err *err)
	MUST_USE;
bool choices_save_preference(const struct state *st, const struct preference *pref, struct err *err)
	MUST_USE;

#endif
