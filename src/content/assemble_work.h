/*
 * What the parts of the assembler share: its state and its helpers. For assemble*.c only;
 * users include assemble.h.
 */
#ifndef CONTENT_ASSEMBLE_WORK_H
#define CONTENT_ASSEMBLE_WORK_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "content/assemble.h"
#include "content/chunkmap.h"
#include "content/crew.h"
#include "content/index.h"
#include "content/landing.h"
#include "content/plan.h"
#include "content/transfer.h"
#include "content/tree.h"

#define ASSEMBLE_WORK_THREADS 1 /* beside the caller's */
#define ASSEMBLE_WORK_HANDS   (ASSEMBLE_WORK_THREADS + 1)
#define ASSEMBLE_WORK_DEPTH   4 /* frames in flight: bounds memory and what a kill costs */
#define ASSEMBLE_WORK_SPARE   (ASSEMBLE_WORK_DEPTH + ASSEMBLE_WORK_HANDS + 1)
static_assert(ASSEMBLE_WORK_HANDS == LANDING_HANDS, "each member has a hand");
static_assert(ASSEMBLE_WORK_SPARE == LANDING_SLOTS, "whatever is received has a slot");

enum assemble_job {
	ASSEMBLE_JOB_RECHECK, /* places [first, first + count) */
	ASSEMBLE_JOB_COPY,    /* plan.copies [first, first + count) */
	ASSEMBLE_JOB_GUESS,   /* chunk `first` */
	ASSEMBLE_JOB_FRAME,   /* frame `first` of the index, bytes in `stored` */
	ASSEMBLE_JOB_MADE,    /* places [first, first + count), bytes in `stored` */
};

/* Buffers that are free, under the lock. */
struct assemble_work_pool {
	struct buf list[ASSEMBLE_WORK_SPARE];
	size_t count;
};

struct assemble {
	const struct assemble_params *params;
	struct manifest *manifest;
	struct chunkmap want;
	struct plan plan;
	struct tree tree;
	int journal_fd;
	uint8_t *claimed;    /* by the journal; for each place */
	uint32_t *twins;     /* of the seed that is drawn upon; NULL: none */
	struct index *index; /* NULL until one was needed */
	uint32_t version;    /* of the index */
	bool no_deltas;      /* one turned out to be of no use */

	struct landing landing;
	struct landing_hand hands[ASSEMBLE_WORK_HANDS];
	struct crew *crew;
	bool is_working; /* what start_work made is there */
	pthread_mutex_t spare_lock;
	struct assemble_work_pool
		spares; /* of frames that are done with: fresh memory costs faults */
	struct assemble_work_pool slots; /* the giver's, where what is handed over needs no copy */

	struct transfer_pace pace;
	uint64_t bytes_network;
	uint32_t requests;
	enum plan_how how;
	struct plan_offer instead;
	uint64_t progress_ms; /* of the last call */
	uint64_t sample_ms, sample_bytes, rate_bps;
};

/* Let the crew do a job; `stored`, if any, is moved out. */
void assemble_work_give(struct assemble *a, enum assemble_job kind, uint32_t first, uint32_t count,
			struct buf *stored);

/* Free memory for what is made here: of the giver's or of our own; an empty buffer if there is
 * none.
 */
struct buf assemble_work_spare(struct assemble *a) MUST_USE;

/* Wait as long as the rate limit asks for after `bytes`, watching for a cancellation. */
void assemble_work_keep_pace(struct assemble *a, uint64_t bytes);

/* Bytes came: count them, and keep the rate by waiting. */
void assemble_work_moved(struct assemble *a, size_t size_bytes);

/* What an earlier run left in the folder under `name`; false: nothing that can be read. */
bool assemble_work_read(struct buf *out, const struct assemble *a, const char *name, size_t max)
	MUST_USE;

/* Tell the progress, unless it was told a moment ago; or now. */
void assemble_work_tell(struct assemble *a);
void assemble_work_tell_now(struct assemble *a);

/* The outcome of a round of jobs, all of which are done. */
enum assemble_result assemble_work_outcome(struct assemble *a, struct err *err);

bool assemble_work_is_cancelled(const struct assemble *a);

/* ASSEMBLE_CANCELLED, with its words. */
enum assemble_result assemble_work_cancelled(struct err *err);

#endif
