#include "content/catalogue.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "content/idmap.h"

struct known_chunk {
	struct digest id;
	uint32_t frame;
	uint32_t size;
	uint32_t next; /* the one behind it in its frame, or IDMAP_NONE */
};

struct known_frame {
	struct catalogue_place place;
	uint32_t first, last; /* chunks */
	bool in_use;
};

struct catalogue {
	struct known_chunk *chunks;
	struct known_frame *frames;
	uint32_t chunk_count, frame_count;
	struct idmap by_id;
};

static const struct digest *chunk_id(uint32_t number, const void *ctx)
{
	const struct catalogue *cat = ctx;

	return &cat->chunks[number].id;
}

struct catalogue *catalogue_new(void)
{
	return alloc_zeroed(1, sizeof(struct catalogue));
}

void catalogue_free(struct catalogue *cat)
{
	if (cat == NULL)
		return;
	free(cat->chunks);
	free(cat->frames);
	idmap_release(&cat->by_id);
	free(cat);
}

/* Versions share most of their frames: those known by an earlier index are not learned again. */
static bool knows_frame(const struct catalogue *cat, const struct index *idx,
			const struct index_pack *pack, const struct index_frame *frame)
{
	uint32_t chunk = catalogue_find(cat, &index_chunk_at(idx, frame->first_chunk)->id);
	const struct catalogue_place *place;

	if (chunk == IDMAP_NONE)
		return false;
	place = &cat->frames[cat->chunks[chunk].frame].place;
	return place->offset == frame->offset && digest_equal(&place->pack, &pack->digest);
}

static void learn_frame(struct catalogue *cat, const struct index *idx,
			const struct index_pack *pack, const struct index_frame *frame)
{
	uint32_t number = catalogue_add_frame(cat);

	cat->frames[number].place = (struct catalogue_place){
		.pack = pack->digest,
		.pack_size = pack->size,
		.offset = frame->offset,
		.stored_size = frame->stored_size,
		.codec = frame->codec,
	};
	for (uint32_t i = 0; i < frame->chunk_count; i++) {
		const struct index_chunk *chunk = index_chunk_at(idx, frame->first_chunk + i);

		catalogue_add_chunk(cat, number, &chunk->id, chunk->size);
	}
}

void catalogue_learn(struct catalogue *cat, const struct index *idx, catalogue_have_fn have,
		     void *ctx)
{
	for (uint32_t i = 0; i < index_pack_count(idx); i++) {
		const struct index_pack *pack = index_pack_at(idx, i);

		if (!have(pack, ctx))
			continue;
		for (uint32_t j = 0; j < pack->frame_count; j++) {
			const struct index_frame *frame = index_frame_at(idx,
									 pack->first_frame + j);

			if (!knows_frame(cat, idx, pack, frame))
				learn_frame(cat, idx, pack, frame);
		}
	}
}

uint32_t catalogue_find(const struct catalogue *cat, const struct digest *id)
{
	return idmap_find(&cat->by_id, id, chunk_id, cat);
}

uint32_t catalogue_add_frame(struct catalogue *cat)
{
	ALLOC_GROW(cat->frames, cat->frame_count);
	cat->frames[cat->frame_count] = (struct known_frame){
		.first = IDMAP_NONE,
		.last = IDMAP_NONE,
	};
	return cat->frame_count++;
}

uint32_t catalogue_add_chunk(struct catalogue *cat, uint32_t frame, const struct digest *id,
			     uint32_t size)
{
	struct known_frame *f = &cat->frames[frame];
	uint32_t number = cat->chunk_count;

	ALLOC_GROW(cat->chunks, cat->chunk_count);
	cat->chunks[cat->chunk_count++] = (struct known_chunk){
		.id = *id,
		.frame = frame,
		.size = size,
		.next = IDMAP_NONE,
	};
	if (f->first == IDMAP_NONE)
		f->first = number;
	else
		cat->chunks[f->last].next = number;
	f->last = number;
	/* Should hundreds of digests collide, the chunk is not found again: that costs sharing
	 * only. */
	idmap_put(&cat->by_id, number, chunk_id, cat);
	return number;
}

void catalogue_use(struct catalogue *cat, uint32_t chunk)
{
	cat->frames[cat->chunks[chunk].frame].in_use = true;
}

void catalogue_use_none(struct catalogue *cat)
{
	for (uint32_t i = 0; i < cat->frame_count; i++)
		cat->frames[i].in_use = false;
}

void catalogue_place_frame(struct catalogue *cat, uint32_t frame,
			   const struct catalogue_place *place)
{
	cat->frames[frame].place = *place;
}

static int compare_places(const void *a, const void *b)
{
	const struct catalogue_place *pa = &(*(const struct known_frame *const *)a)->place;
	const struct catalogue_place *pb = &(*(const struct known_frame *const *)b)->place;
	int order = digest_compare(&pa->pack, &pb->pack);

	return order != 0 ? order : (pa->offset > pb->offset) - (pa->offset < pb->offset);
}

/* The frames in use in the order of an index; the caller frees it. */
static const struct known_frame **sorted_frames(uint32_t *count_out, const struct catalogue *cat)
{
	const struct known_frame **sorted = alloc_zeroed((size_t)cat->frame_count + 1,
							 sizeof(struct known_frame *));
	uint32_t count = 0;

	for (uint32_t i = 0; i < cat->frame_count; i++)
		if (cat->frames[i].in_use)
			sorted[count++] = &cat->frames[i];
	qsort(sorted, count, sizeof(struct known_frame *), compare_places);
	*count_out = count;
	return sorted;
}

static void put_frame(struct index *idx, const struct catalogue *cat, const struct known_frame *f)
{
	index_add_frame(idx, f->place.offset, f->place.stored_size, f->place.codec);
	for (uint32_t i = f->first; i != IDMAP_NONE; i = cat->chunks[i].next)
		index_add_chunk(idx, &cat->chunks[i].id, cat->chunks[i].size);
}

bool catalogue_write(struct buf *out, const struct catalogue *cat, struct err *err)
{
	SCOPED(index) struct index *idx = index_new();
	uint32_t count;
	const struct known_frame **sorted = sorted_frames(&count, cat);

	for (uint32_t i = 0; i < count; i++) {
		const struct catalogue_place *place = &sorted[i]->place;

		if (i == 0 || !digest_equal(&sorted[i - 1]->place.pack, &place->pack))
			index_add_pack(idx, &place->pack, place->pack_size);
		put_frame(idx, cat, sorted[i]);
	}
	free(sorted);
	return index_write(out, idx, err);
}
