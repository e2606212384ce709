/* What is here already: an interrupted run's work, the seeds; or what the keeper tells of its own.
 */
#include "content/assemble.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/assemble_work.h"
#include "content/giver.h"

#define BATCH_CHUNKS 32

static void draw_on(struct assemble *a, const struct tree *seed)
{
	for (size_t i = 0; i < ASSEMBLE_WORK_HANDS; i++)
		landing_hand_draw(&a->hands[i], seed);
}

/* Give out [0, count) in batches. */
static void give_batches(struct assemble *a, enum assemble_job kind, uint32_t count)
{
	for (uint32_t n = 0; n < count && !assemble_work_is_cancelled(a); n += BATCH_CHUNKS) {
		assemble_work_give(a, kind, n, MIN_OF((uint32_t)BATCH_CHUNKS, count - n), NULL);
		assemble_work_tell(a);
	}
	crew_drain(a->crew);
}

static void copy_known(struct assemble *a, const struct tree *from, const uint8_t *present)
{
	landing_have(&a->landing, a->plan.have);
	plan_add_seed(&a->plan, from->manifest, present);
	draw_on(a, from);
	give_batches(a, ASSEMBLE_JOB_COPY, a->plan.copy_count);
	draw_on(a, NULL);
}

/* What an interrupted run left: hash it again, then fill the other places of what is right. */
static enum assemble_result resume(struct assemble *a, struct err *err)
{
	if (a->tree.fresh)
		return ASSEMBLE_DONE;
	draw_on(a, &a->tree);
	give_batches(a, ASSEMBLE_JOB_RECHECK, manifest_chunk_count(a->manifest));
	draw_on(a, NULL);
	landing_settle(&a->landing);
	copy_known(a, &a->tree, a->landing.present);
	return assemble_work_outcome(a, err);
}

static void guess_from(struct assemble *a, const struct tree *seed)
{
	uint32_t count = manifest_chunk_count(a->manifest);

	a->twins = plan_find_twins(a->manifest, seed->manifest);
	landing_have(&a->landing, a->plan.have);
	draw_on(a, seed);
	for (uint32_t n = 0; n < count && !assemble_work_is_cancelled(a); n++)
		if (a->want.first[n] == n && !a->plan.have[n] &&
		    plan_can_guess(&a->plan, n, a->twins))
			assemble_work_give(a, ASSEMBLE_JOB_GUESS, n, 1, NULL);
	crew_drain(a->crew);
	draw_on(a, NULL);
	free(a->twins);
	a->twins = NULL;
}

/* A seed that cannot be used is no fault: its bytes come from elsewhere. */
static void use_seed(struct assemble *a, const struct assemble_seed *seed)
{
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(tree) struct tree tree = TREE_CLOSED;
	struct err ignored = { 0 };

	if (!path_read(&bytes, seed->manifest, MANIFEST_BYTES_MAX, &ignored) ||
	    !manifest_read(&m, buf_span(&bytes), &ignored) ||
	    !tree_open(&tree, seed->tree, m, &ignored))
		return;
	copy_known(a, &tree, NULL);
	guess_from(a, &tree);
}

static bool note_stock(uint64_t bytes, void *ctx)
{
	struct assemble *a = ctx;

	atomic_store(&a->landing.bytes_done, bytes);
	assemble_work_tell(a);
	return !assemble_work_is_cancelled(a);
}

/* The keeper does it, and tells what it has. */
static enum assemble_result take_stock(struct assemble *a, struct err *err)
{
	uint32_t count = manifest_chunk_count(a->manifest);
	uint8_t *have = alloc_zeroed(MAX_OF(count, 1), 1);
	bool done = giver_stock(have, count, a->params->giver, note_stock, a, err);

	atomic_store(&a->landing.bytes_done, 0);
	if (done)
		landing_believe(&a->landing, have);
	free(have);
	if (assemble_work_is_cancelled(a))
		return assemble_work_cancelled(err);
	return done ? ASSEMBLE_DONE : ASSEMBLE_LOCAL;
}

static enum assemble_result look_here(struct assemble *a, struct err *err)
{
	enum assemble_result result = resume(a, err);

	for (size_t i = 0;
	     i < a->params->seed_count && result == ASSEMBLE_DONE && assemble_missing(a) > 0; i++) {
		use_seed(a, &a->params->seeds[i]);
		result = assemble_work_outcome(a, err);
	}
	return result;
}

enum assemble_result assemble_local(struct assemble *a, struct err *err)
{
	enum assemble_result result = a->params->giver != NULL ? take_stock(a, err)
							       : look_here(a, err);

	landing_reset(&a->landing);
	assemble_work_tell_now(a);
	return result;
}
