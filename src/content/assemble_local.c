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
	if (a->tree.made_empty)
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

/* For each place of the wanted stream, where its chunk stands in the seed's, if it does. */
static uint64_t *find_places(const struct manifest *want, const struct manifest *seed)
{
	uint32_t count = manifest_chunk_count(want);
	uint64_t *places = alloc_zeroed(MAX_OF(count, 1), sizeof(*places));
	SCOPED(chunkmap) struct chunkmap map;

	chunkmap_init(&map, seed);
	for (uint32_t n = 0; n < count; n++) {
		uint32_t found = chunkmap_find(&map, &manifest_chunk_at(want, n)->id);

		places[n] = found == CHUNKMAP_NONE ? LANDING_NOWHERE
						   : manifest_chunk_at(seed, found)->offset;
	}
	return places;
}

static bool is_missing(const struct assemble *a, uint32_t n)
{
	return a->want.first[n] == n && !landing_is_done(&a->landing, n);
}

/* Where the neighbours of place `n` say that it begins and ends in the seed; the ends of the stream
 * are as good as neighbours. */
static uint64_t behind_of(const struct assemble *a, const uint64_t *places, uint32_t n)
{
	if (n == 0)
		return 0;
	return places[n - 1] == LANDING_NOWHERE
		       ? LANDING_NOWHERE
		       : places[n - 1] + manifest_chunk_at(a->manifest, n - 1)->size;
}

static uint64_t front_of(const struct assemble *a, const uint64_t *places, uint32_t n,
			 const struct manifest *seed)
{
	return n + 1 < manifest_chunk_count(a->manifest) ? places[n + 1]
							 : manifest_stream_size(seed);
}

static bool is_in_large_file(const struct manifest *m, uint32_t n)
{
	const struct manifest_chunk *c = manifest_chunk_at(m, n);
	struct manifest_piece_iter it = manifest_pieces(m, c->offset, c->size);
	struct manifest_piece piece;

	return manifest_piece_next(&it, &piece) && piece.size == c->size &&
	       manifest_entry_at(m, piece.entry)->size >= SEAM_FILE_MIN;
}

/* What is found is a neighbour to the next. */
static void try_seam(struct assemble *a, uint64_t *places, uint32_t n, const struct manifest *seed)
{
	uint64_t behind = behind_of(a, places, n);
	uint64_t front = front_of(a, places, n, seed);
	enum seam how = SEAM_NONE;

	if (is_in_large_file(a->manifest, n))
		how = landing_seam(&a->hands[0], n, behind, front);
	if (how == SEAM_BEHIND)
		places[n] = behind;
	if (how == SEAM_FRONT)
		places[n] = front - manifest_chunk_at(a->manifest, n)->size;
}

/* A chunk that a twin had stands there most likely; what is wrong costs a few hashes. */
static void suppose_place(const struct assemble *a, uint64_t *places, uint32_t n,
			  const struct manifest *seed)
{
	uint64_t front = front_of(a, places, n, seed);
	uint32_t size = manifest_chunk_at(a->manifest, n)->size;

	if (front != LANDING_NOWHERE && front >= size)
		places[n] = front - size;
}

/* Only where little is missing, since each try costs hashes: more than that is no moved piece. */
static void try_seams(struct assemble *a, const struct tree *seed)
{
	uint32_t count = manifest_chunk_count(a->manifest);
	uint64_t missing = assemble_missing(a);
	uint64_t *places;

	if (missing == 0 || missing > SEAM_CHUNKS_MAX)
		return;
	places = find_places(a->manifest, seed->manifest);
	draw_on(a, seed);
	for (uint32_t n = count; n-- > 0 && !assemble_work_is_cancelled(a);)
		if (is_missing(a, n))
			try_seam(a, places, n, seed->manifest);
		else if (places[n] == LANDING_NOWHERE)
			suppose_place(a, places, n, seed->manifest);
	for (uint32_t n = 0; n < count && !assemble_work_is_cancelled(a); n++)
		if (is_missing(a, n))
			try_seam(a, places, n, seed->manifest);
	draw_on(a, NULL);
	free(places);
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
	try_seams(a, &tree);
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
