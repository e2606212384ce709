#include "content/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static const char *const how_names[] = {
	[PLAN_NONE] = "none",
	[PLAN_RANGES] = "ranges",
	[PLAN_PATCH] = "patch",
	[PLAN_STREAM] = "stream",
};
static_assert(COUNT_OF(how_names) == PLAN_HOW_COUNT_, "every way has a name");

const char *plan_how_name(enum plan_how how)
{
	return how_names[how];
}

void plan_init(struct plan *p, const struct chunkmap *want)
{
	uint32_t count = manifest_chunk_count(want->manifest);

	*p = (struct plan){ .want = want, .have = alloc_zeroed(MAX_OF(count, 1), 1) };
}

void plan_release(struct plan *p)
{
	free(p->have);
	free(p->copies);
	free(p->frames);
	free(p->ranges);
	*p = (struct plan){ 0 };
}

void plan_add_seed(struct plan *p, const struct manifest *seed, const uint8_t *present)
{
	uint32_t count = manifest_chunk_count(seed);
	uint8_t *planned = alloc_zeroed(MAX_OF(manifest_chunk_count(p->want->manifest), 1), 1);

	p->copies = alloc_resize(p->copies, MAX_OF(p->want->unique, 1) * sizeof(*p->copies));
	p->copy_count = 0;
	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_chunk *c = manifest_chunk_at(seed, n);
		uint32_t wanted = chunkmap_find(p->want, &c->id);

		if (wanted == CHUNKMAP_NONE || p->have[wanted] || planned[wanted] ||
		    (present != NULL && !present[n]) ||
		    c->size != manifest_chunk_at(p->want->manifest, wanted)->size)
			continue;
		planned[wanted] = 1;
		p->copies[p->copy_count++] = (struct plan_copy){ wanted, c->offset };
	}
	free(planned);
}

/* A seed's file by what a renamed copy of it keeps. */
struct by_size {
	uint64_t size;
	uint32_t mark; /* 0: none */
	uint32_t entry;
};

static int compare_by_size(const void *a, const void *b)
{
	const struct by_size *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	if (x->mark != y->mark)
		return x->mark < y->mark ? -1 : 1;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

/* The files of a seed, ascending by size, then mark. */
struct files {
	const struct manifest *seed;
	struct by_size *items;
	uint32_t count;
};

static void collect_by_size(struct files *out, const struct manifest *seed)
{
	uint32_t entries = manifest_entry_count(seed);

	*out = (struct files){
		.seed = seed,
		.items = alloc_zeroed(MAX_OF(entries, 1), sizeof(*out->items)),
	};
	for (uint32_t n = 0; n < entries; n++) {
		const struct manifest_entry *e = manifest_entry_at(seed, n);

		if (e->type == MANIFEST_FILE && e->size > 0)
			out->items[out->count++] = (struct by_size){ e->size,
								     manifest_mark_of(seed, e), n };
	}
	qsort(out->items, out->count, sizeof(*out->items), compare_by_size);
}

/* The first that has this size and mark, or stands behind. */
static uint32_t lower_bound(const struct files *f, uint64_t size, uint32_t mark)
{
	const struct by_size wanted = { .size = size, .mark = mark, .entry = 0 };
	uint32_t low = 0, high = f->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (compare_by_size(&f->items[mid], &wanted) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Looked at among files of one size that no mark tells apart. */
#define TWIN_LOOKS_MAX 64

/* How likely a file of the same size is the renamed one. */
static int likeness(const struct manifest_entry *e, const struct manifest_entry *old,
		    const struct manifest *want)
{
	if (strcmp(last_component(old->path), last_component(e->path)) == 0)
		return 2;
	return manifest_find(want, old->path) == NULL; /* gone from its place: moved elsewhere? */
}

static bool may_be_equal(uint32_t mark, uint32_t other)
{
	return mark == 0 || other == 0 || mark == other;
}

/* The likeliest of the files of that size that have no mark, or of all where `e` has none. */
static uint32_t find_likely(const struct manifest_entry *e, const struct manifest *want,
			    const struct files *f)
{
	uint32_t begin = lower_bound(f, e->size, 0);
	uint32_t best = PLAN_NO_TWIN;
	int best_likeness = -1;

	for (uint32_t n = begin;
	     n < f->count && f->items[n].size == e->size &&
	     may_be_equal(e->mark, f->items[n].mark) && n - begin < TWIN_LOOKS_MAX;
	     n++) {
		int found = likeness(e, manifest_entry_at(f->seed, f->items[n].entry), want);

		if (found <= best_likeness)
			continue;
		best = f->items[n].entry;
		best_likeness = found;
	}
	return best;
}

static uint32_t find_moved(const struct manifest_entry *e, const struct manifest *want,
			   const struct files *f)
{
	uint32_t n = lower_bound(f, e->size, e->mark);

	if (e->mark != 0 && n < f->count && f->items[n].size == e->size &&
	    f->items[n].mark == e->mark)
		return f->items[n].entry;
	return find_likely(e, want, f);
}

/* Both manifests ascend by path, so one cursor walks along. */
static uint32_t find_in_place(uint32_t *cursor, const struct manifest_entry *e,
			      const struct manifest *seed)
{
	const struct manifest_entry *twin;

	while (*cursor < manifest_entry_count(seed) &&
	       strcmp(manifest_entry_at(seed, *cursor)->path, e->path) < 0)
		++*cursor;
	if (*cursor == manifest_entry_count(seed))
		return PLAN_NO_TWIN;
	twin = manifest_entry_at(seed, *cursor);
	if (strcmp(twin->path, e->path) != 0 || twin->type != MANIFEST_FILE ||
	    twin->size != e->size || !may_be_equal(e->mark, manifest_mark_of(seed, twin)))
		return PLAN_NO_TWIN;
	return *cursor;
}

uint32_t *plan_find_twins(const struct manifest *want, const struct manifest *seed)
{
	uint32_t entries = manifest_entry_count(want);
	uint32_t *twins = alloc_zeroed(MAX_OF(entries, 1), sizeof(*twins));
	struct files files;
	uint32_t cursor = 0;

	collect_by_size(&files, seed);
	for (uint32_t n = 0; n < entries; n++) {
		const struct manifest_entry *e = manifest_entry_at(want, n);

		twins[n] = PLAN_NO_TWIN;
		/* What is the same as another has no bytes in the stream. */
		if (e->type != MANIFEST_FILE || e->size == 0 || e->same_as != MANIFEST_NOT_SAME)
			continue;
		twins[n] = find_in_place(&cursor, e, seed);
		if (twins[n] == PLAN_NO_TWIN)
			twins[n] = find_moved(e, want, &files);
	}
	free(files.items);
	return twins;
}

bool plan_can_guess(const struct plan *p, uint32_t chunk, const uint32_t *twins)
{
	const struct manifest *m = p->want->manifest;
	const struct manifest_chunk *c = manifest_chunk_at(m, chunk);
	struct manifest_piece piece;

	for (struct manifest_piece_iter it = manifest_pieces(m, c->offset, c->size);
	     manifest_piece_next(&it, &piece);)
		if (twins[piece.entry] == PLAN_NO_TWIN)
			return false;
	return true;
}

static bool mark_frames(uint8_t *needed, struct plan *p, const struct index *idx, struct err *err)
{
	uint32_t count = manifest_chunk_count(p->want->manifest);

	p->bytes_missing = 0;
	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_chunk *c = manifest_chunk_at(p->want->manifest, n);
		const struct index_chunk *at;

		if (p->want->first[n] != n || p->have[n])
			continue;
		at = index_find(idx, &c->id);
		if (at == NULL || at->size != c->size)
			return err_set(err, ERR_FORMAT,
				       "the index does not hold chunk %" PRIu32 " of %" PRIu32, n,
				       count);
		needed[at->frame] = 1;
		p->bytes_missing += c->size;
	}
	return true;
}

static uint64_t end_of(const struct plan_range *r)
{
	return r->offset + r->size;
}

/* Append the frame to the last range where it is near enough, else begin a new one. */
static void add_frame(struct plan *p, const struct index_frame *f, uint32_t number, uint32_t gap)
{
	struct plan_range *last = p->range_count > 0 ? &p->ranges[p->range_count - 1] : NULL;

	if (last == NULL || last->pack != f->pack || f->offset - end_of(last) > gap) {
		last = &p->ranges[p->range_count++];
		*last = (struct plan_range){
			.pack = f->pack,
			.first_frame = p->frame_count,
			.offset = f->offset,
		};
	}
	last->size = f->offset + f->stored_size - last->offset;
	last->frame_count++;
	p->frames[p->frame_count++] = number;
}

bool plan_add_ranges(struct plan *p, const struct index *idx, uint32_t gap, struct err *err)
{
	uint32_t count = index_frame_count(idx);
	uint8_t *needed = alloc_zeroed(MAX_OF(count, 1), 1);

	if (!mark_frames(needed, p, idx, err)) {
		free(needed);
		return false;
	}
	p->frames = alloc_resize(p->frames, MAX_OF(count, 1) * sizeof(*p->frames));
	p->ranges = alloc_resize(p->ranges, MAX_OF(count, 1) * sizeof(*p->ranges));
	p->frame_count = 0;
	p->range_count = 0;
	for (uint32_t n = 0; n < count; n++)
		if (needed[n])
			add_frame(p, index_frame_at(idx, n), n, gap);
	free(needed);

	p->bytes_network = 0;
	for (uint32_t n = 0; n < p->range_count; n++)
		p->bytes_network += p->ranges[n].size;
	p->requests = p->range_count;
	p->how = p->range_count > 0 ? PLAN_RANGES : PLAN_NONE;
	p->instead = (struct plan_offer){ .how = PLAN_NONE };
	return true;
}

static bool is_usable(const struct index_delta *d, const struct plan_local *local)
{
	for (size_t i = 0; i < local->version_count; i++)
		if (d->kind == INDEX_PATCH && local->versions[i] == d->from)
			return true;
	return d->kind == INDEX_STREAM;
}

/* What is still to come of a delta's file. */
static uint64_t rest_of(const struct index *idx, uint32_t n, const struct plan_local *local)
{
	uint64_t size = index_delta_at(idx, n)->size;

	return local->kept != NULL && local->kept[n] < size ? size - local->kept[n] : size;
}

/* The usable one of which least is still to come; the first of equals. NULL: none is usable. */
static const struct index_delta *smallest_delta(struct plan_offer *out, const struct index *idx,
						const struct plan_local *local)
{
	const struct index_delta *best = NULL;

	for (uint32_t n = 0; n < index_delta_count(idx); n++) {
		const struct index_delta *d = index_delta_at(idx, n);
		uint64_t rest = rest_of(idx, n, local);

		if (!is_usable(d, local) || (best != NULL && rest >= out->bytes))
			continue;
		best = d;
		out->how = d->kind == INDEX_STREAM ? PLAN_STREAM : PLAN_PATCH;
		out->bytes = rest;
		out->requests = 1;
	}
	return best;
}

const struct index_delta *plan_find_delta(struct plan *p, const struct index *idx,
					  const struct plan_local *local, uint32_t gap)
{
	const struct plan_offer ranges = { PLAN_RANGES, p->bytes_network, p->requests };
	struct plan_offer offer = { .how = PLAN_NONE };
	const struct index_delta *best = smallest_delta(&offer, idx, local);

	p->instead = offer;
	if (best == NULL || offer.bytes + gap >= ranges.bytes + (uint64_t)ranges.requests * gap)
		return NULL;
	p->instead = ranges;
	p->how = offer.how;
	p->bytes_network = offer.bytes;
	p->requests = offer.requests;
	return best;
}

bool plan_count_ranges(struct plan_cost *out, const struct manifest *want,
		       const struct manifest *have, const struct index *idx, struct err *err)
{
	SCOPED(chunkmap) struct chunkmap chunks;
	SCOPED(plan) struct plan plan;

	chunkmap_init(&chunks, want);
	plan_init(&plan, &chunks);
	if (have != NULL) {
		plan_add_seed(&plan, have, NULL);
		for (uint32_t i = 0; i < plan.copy_count; i++)
			plan.have[plan.copies[i].chunk] = 1;
	}
	if (!plan_add_ranges(&plan, idx, PLAN_GAP_DEFAULT, err))
		return false;
	*out = (struct plan_cost){ .bytes = plan.bytes_network, .requests = plan.requests };
	return true;
}
