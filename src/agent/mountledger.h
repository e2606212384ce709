/*
 * What this client has mounted: a record and a lock for each place, in STATE/mounts. The lock is
 * held by the process that serves the mount and ends with it, so a record without its lock is a
 * leftover. docs/formats/state.md has the layout.
 */
#ifndef AGENT_MOUNTLEDGER_H
#define AGENT_MOUNTLEDGER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/state.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define MOUNTLEDGER_FOLDER "mounts"

/*
 * Claim the place `at` (absolute, resolved), waiting up to `wait_ms` for one who has it.
 * ERR_LOCKED: it is mounted by this client, or about to be. The claim ends with the descriptor.
 */
bool mountledger_claim(int *fd_out, const struct state *st, const char *at, uint32_t wait_ms,
		       struct err *err) MUST_USE;

/* Note or forget what is mounted at record["at"]; the place is claimed. */
bool mountledger_write(const struct state *st, const json_t *record, struct err *err) MUST_USE;
void mountledger_remove(const struct state *st, const char *at);

/* The record of a place; NULL if there is none. The caller owns it. */
json_t *mountledger_read(const struct state *st, const char *at) MUST_USE;

/* All records; the caller owns the array. What cannot be read is left out. */
json_t *mountledger_list(const struct state *st) MUST_USE;

#endif
