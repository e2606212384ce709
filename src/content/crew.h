/*
 * A few threads that work off a short queue of jobs.
 *
 * The caller is a member too (number 0): it does a job itself when the queue is full and when it
 * waits for the rest, so that no core stands idle and a machine that gives no thread still works.
 * Jobs run in any order; each gets the number of the member that runs it, below crew_size, so
 * that members can have their own buffers.
 *
 * A job that is long may share its work (crew_share), so that the last ones given keep every
 * member busy too. One thread gives and drains; of the crew, `fn` may call crew_share alone.
 */
#ifndef CONTENT_CREW_H
#define CONTENT_CREW_H

#include "common/macros.h"

#define CREW_THREADS_MAX 8
#define CREW_DEPTH_MAX   16

typedef void (*crew_fn)(void *ctx, unsigned member, void *job);
typedef void (*crew_share_fn)(void *ctx, unsigned member, unsigned item);

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

/*
 * Within a job of `member`: have fn(ctx, member, item) done for each item below `count`, by this
 * member and by those that have nothing else to do, in any order. Returns when all are done.
 */
void crew_share(struct crew *crew, unsigned member, crew_share_fn fn, void *ctx, unsigned count);

/* Work and wait until every job is done. What the jobs wrote is visible afterwards. */
void crew_drain(struct crew *crew);

#endif
