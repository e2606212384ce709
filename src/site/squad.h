/*
 * A few processes at once, one for each of several systems, so that one that is dead or slow delays
 * nobody.
 *
 *     squad_new → squad_start, squad_collect, squad_pause, … → squad_free
 *
 * What a process finds out goes into the database, or into memory that it shares with its parent.
 */
#ifndef SITE_SQUAD_H
#define SITE_SQUAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "site/site.h"

struct squad;

/*
 * In the child, with a database connection of its own: the work for the system `id`. What it
 * returns is whether squad_failed counts it; a fault is told to the log.
 */
typedef bool squad_fn(struct site *site, int64_t id, void *ctx, struct err *err);

/* `site` and `ctx` are borrowed. The caller frees it. */
struct squad *squad_new(struct site *site, squad_fn *work, void *ctx) MUST_USE;

/* Ends who still runs, and waits for that. */
void squad_free(struct squad *squad);
SCOPED_FREE(squad);

/* Start the process for `id`, which has none; `name` is how the log calls it. */
bool squad_start(struct squad *squad, int64_t id, const char *name, struct err *err) MUST_USE;

/* See who has ended; returns how many are still running. */
size_t squad_collect(struct squad *squad);

/* As it was at the last squad_collect. */
bool squad_is_running(const struct squad *squad, int64_t id);
size_t squad_failed(const struct squad *squad);

/* End those that have run for `ms` or longer, and wait for that. They count as failed. */
void squad_put_off(struct squad *squad, uint64_t ms);

/* Wait until one of them ends, a moment at most. */
void squad_pause(const struct squad *squad);

#endif
