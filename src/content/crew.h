/*
 * A few threads that work off a short queue of jobs.
 *
 * The caller is a member too (number 0): it does a job itself when the queue is full and when it
 * waits for the rest, so that no core stands idle and a machine that gives no thread still works.
 * Jobs run in any order; each gets the number of the member that runs it, below crew_size, so
 * that members can have their own buffers.
 *
 * One thread gives and drains; `fn` must not call the crew.
 */
#ifndef CONTENT_CREW_H
#define CONTENT_CREW_H

#include "common/macros.h"

#define CREW_THREADS_MAX 8
#define CREW_DEPTH_MAX   16

typedef void (*crew_fn)(void *ctx, unsigned member, void *job);

struct crew;

/* Start up to `threads` threads with a queue of `depth` jobs (1 to CREW_DEPTH_MAX). Never NULL. */
struct crew *crew_new(unsigned threads, unsigned depth, crew_fn fn, void *ctx) MUST_USE;

/* Finish all jobs, end the threads. */
void crew_free(struct crew *crew);
SCOPED_FREE(crew);

/* Members there can be, the caller included. */
unsigned crew_size(const struct crew *crew);

/* Hand over a job; blocks, working, while the queue is full. */
void crew_give(struct crew *crew, void *job);

/* Work and wait until every job is done. What the jobs wrote is visible afterwards. */
void crew_drain(struct crew *crew);

#endif
