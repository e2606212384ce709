#include "content/landing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/large.h"
#include "content/chunker.h"
#include "content/pack.h"

#define DECODE_THERE_FROM (64u << 20)

static_assert(RECENT_HANDS >= LANDING_HANDS, "each hand has a part of it");

enum chunk_state {
	CHUNK_MISSING,
	CHUNK_TAKEN, /* some hand is at it */
	CHUNK_DONE,
};

static uint32_t chunk_count(const struct landing *l)
{
	return manifest_chunk_count(l->want->manifest);
}

static const struct manifest_chunk *chunk_at(const struct landing *l, uint32_t n)
{
	return manifest_chunk_at(l->want->manifest, n);
}

void landing_init(struct landing *l, const struct chunkmap *want, const struct tree *tree,
		  int journal_fd)
{
	uint32_t count = MAX_OF(manifest_chunk_count(want->manifest), 1);

	*l = (struct landing){ .want = want, .tree = tree, .journal_fd = journal_fd };
	l->state = alloc_zeroed(count, sizeof(*l->state));
	l->present = alloc_zeroed(count, 1);
	atomic_store(&l->missing, want->unique);
	pthread_mutex_init(&l->lock, NULL);
}

void landing_init_port(struct landing *l, const struct chunkmap *want, const struct tree *tree,
		       const struct landing_port *port)
{
	landing_init(l, want, tree, -1);
	l->port = port;
}

void landing_release(struct landing *l)
{
	free(l->state);
	free(l->present);
	pthread_mutex_destroy(&l->lock);
	l->state = NULL;
	l->present = NULL;
}

void landing_reset(struct landing *l)
{
	atomic_store(&l->broken, false);
	l->fault = LANDING_FINE;
	err_clear(&l->err);
}

enum landing_fault landing_fault(struct landing *l, struct err *err)
{
	enum landing_fault fault;

	pthread_mutex_lock(&l->lock);
	fault = l->fault;
	if (fault != LANDING_FINE)
		*err = l->err;
	pthread_mutex_unlock(&l->lock);
	return fault;
}

static void note_fault(struct landing *l, enum landing_fault fault, const struct err *err)
{
	pthread_mutex_lock(&l->lock);
	if (l->fault == LANDING_FINE) {
		l->fault = fault;
		l->err = *err;
	}
	pthread_mutex_unlock(&l->lock);
	atomic_store(&l->broken, true);
}

void landing_have(const struct landing *l, uint8_t *have)
{
	for (uint32_t n = 0; n < chunk_count(l); n++)
		have[n] = atomic_load(&l->state[n]) == CHUNK_DONE;
}

bool landing_is_done(const struct landing *l, uint32_t n)
{
	return atomic_load(&l->state[n]) == CHUNK_DONE;
}

/*
 * Frames are decoded where they are handed over, unless there are few: then the faults of that
 * memory, which has small pages only, take longer than to copy a lot at a time to the same place.
 */
static bool decodes_there(const struct landing *l)
{
	return l->port != NULL && manifest_stream_size(l->want->manifest) >= DECODE_THERE_FROM;
}

/* A large page would be most of the memory that a small package takes. */
static uint8_t *new_room(const struct landing *l, enum landing_room kind)
{
	uint8_t *room;

	if (kind == LANDING_ROOM_CHUNKS || manifest_stream_size(l->want->manifest) < FRAME_RAW_MAX)
		return alloc_resize(NULL, FRAME_RAW_MAX);
	room = large_alloc(FRAME_RAW_MAX);
	/* Now, while the network is waited for. */
	large_populate(room, FRAME_RAW_MAX);
	return room;
}

void landing_hand_init(struct landing_hand *h, struct landing *l, unsigned int number,
		       enum landing_room kind)
{
	*h = (struct landing_hand){
		.landing = l,
		.number = number,
		.hash = digest_new(),
		.decoder = frame_decoder_new(),
		.raw = decodes_there(l) ? l->port->rooms[number] : new_room(l, kind),
	};
	tree_files_init(&h->out, l->tree);
	tree_files_init(&h->seed, NULL);
}

void landing_hand_release(struct landing_hand *h)
{
	digest_free(h->hash);
	frame_decoder_free(h->decoder);
	if (!decodes_there(h->landing))
		free(h->raw);
	tree_files_release(&h->out);
	tree_files_release(&h->seed);
}

void landing_hand_draw(struct landing_hand *h, const struct tree *seed)
{
	tree_files_release(&h->seed);
	tree_files_init(&h->seed, seed);
}

static bool is_chunk(struct landing_hand *h, const struct digest *id, struct span bytes)
{
	struct digest found;

	digest_update(h->hash, bytes);
	digest_finish(h->hash, &found);
	return digest_equal(&found, id);
}

void landing_recheck(struct landing_hand *h, const uint8_t *claimed, uint32_t first, uint32_t count)
{
	struct landing *l = h->landing;

	for (uint32_t n = first; n < first + count; n++) {
		const struct manifest_chunk *c = chunk_at(l, n);

		if (claimed[n] && tree_read(h->raw, &h->seed, c->offset, c->size))
			l->present[n] = is_chunk(h, &c->id, span_of(h->raw, c->size));
	}
}

/* Count a chunk as done, with all its places; returns their bytes. */
static uint64_t mark_done(struct landing *l, uint32_t first)
{
	uint64_t bytes = 0;

	for (uint32_t n = first; n != CHUNKMAP_NONE; n = l->want->next[n])
		bytes += chunk_at(l, n)->size;
	atomic_fetch_add(&l->bytes_done, bytes);
	atomic_fetch_sub(&l->missing, 1);
	atomic_store(&l->state[first], CHUNK_DONE);
	return bytes;
}

static bool all_places_present(const struct landing *l, uint32_t first)
{
	for (uint32_t n = first; n != CHUNKMAP_NONE; n = l->want->next[n])
		if (!l->present[n])
			return false;
	return true;
}

void landing_settle(struct landing *l)
{
	for (uint32_t n = 0; n < chunk_count(l); n++)
		if (l->want->first[n] == n && all_places_present(l, n))
			atomic_fetch_add(&l->bytes_seed, mark_done(l, n));
}

void landing_believe(struct landing *l, const uint8_t *have)
{
	for (uint32_t n = 0; n < chunk_count(l); n++)
		if (l->want->first[n] == n && have[n])
			atomic_fetch_add(&l->bytes_seed, mark_done(l, n));
}

static bool take(struct landing *l, uint32_t first)
{
	unsigned char missing = CHUNK_MISSING;

	return atomic_compare_exchange_strong(&l->state[first], &missing, CHUNK_TAKEN);
}

static void give_back(struct landing *l, uint32_t first)
{
	atomic_store(&l->state[first], CHUNK_MISSING);
}

static bool note_in_journal(struct landing *l, uint32_t place, struct err *err)
{
	const uint8_t written = 1;

	if (pwrite(l->journal_fd, &written, 1, place) != 1)
		return err_sys(err, ERR_IO, errno, "journal of %s", l->tree->path);
	return true;
}

/* Write checked bytes to every place of a taken chunk. */
static bool write_places(struct landing_hand *h, uint32_t first, struct span bytes, struct err *err)
{
	struct landing *l = h->landing;

	for (uint32_t n = first; n != CHUNKMAP_NONE; n = l->want->next[n])
		if (!l->present[n] && (!tree_write(&h->out, chunk_at(l, n)->offset, bytes, err) ||
				       !note_in_journal(l, n, err)))
			return false;
	return true;
}

/* Write a taken chunk whose bytes were checked; the caller counts it as done. */
static bool land(struct landing_hand *h, uint32_t first, struct span bytes)
{
	struct err err = { 0 };

	if (write_places(h, first, bytes, &err))
		return true;
	note_fault(h->landing, LANDING_LOCAL, &err);
	give_back(h->landing, first);
	return false;
}

/* What may be the bytes of a taken chunk stands in h->raw: land them, or leave it missing. */
static void land_local(struct landing_hand *h, uint32_t first)
{
	struct landing *l = h->landing;
	const struct manifest_chunk *c = chunk_at(l, first);
	struct span bytes = span_of(h->raw, c->size);

	if (!is_chunk(h, &c->id, bytes))
		give_back(l, first);
	else if (land(h, first, bytes))
		atomic_fetch_add(&l->bytes_seed, mark_done(l, first));
}

void landing_copy(struct landing_hand *h, const struct plan_copy *copies, uint32_t count)
{
	struct landing *l = h->landing;

	for (uint32_t i = 0; i < count && !atomic_load(&l->broken); i++) {
		uint32_t chunk = copies[i].chunk;

		if (!take(l, chunk))
			continue;
		if (tree_read(h->raw, &h->seed, copies[i].offset, chunk_at(l, chunk)->size))
			land_local(h, chunk);
		else
			give_back(l, chunk);
	}
}

static bool read_twins(struct landing_hand *h, const struct manifest_chunk *c,
		       const uint32_t *twins)
{
	struct manifest_piece piece;

	for (struct manifest_piece_iter it =
		     manifest_pieces(h->landing->want->manifest, c->offset, c->size);
	     manifest_piece_next(&it, &piece);)
		if (!tree_read_file(h->raw + piece.range_offset, &h->seed, twins[piece.entry],
				    piece.file_offset, piece.size))
			return false;
	return true;
}

void landing_guess(struct landing_hand *h, uint32_t chunk, const uint32_t *twins)
{
	if (atomic_load(&h->landing->broken) || !take(h->landing, chunk))
		return;
	if (read_twins(h, chunk_at(h->landing, chunk), twins))
		land_local(h, chunk);
	else
		give_back(h->landing, chunk);
}

/* Where the place `at` of a stream is in its file. */
static uint64_t place_in_file(const struct manifest *m, uint64_t at)
{
	struct manifest_piece_iter it = manifest_pieces(m, at, 1);
	struct manifest_piece piece;

	return manifest_piece_next(&it, &piece) ? piece.file_offset : 0;
}

/* Up to `size` bytes of the seed from `at` on; none if that is not known or cannot be read. */
static struct span read_side(uint8_t *dst, struct landing_hand *h, uint64_t at, uint64_t size)
{
	return tree_read(dst, &h->seed, at, (uint32_t)size) ? span_of(dst, (size_t)size)
							    : (struct span){ 0 };
}

static void read_sides(struct seam_sides *out, struct landing_hand *h, uint64_t behind,
		       uint64_t front, uint32_t size)
{
	const struct manifest *m = h->seed.tree->manifest;
	uint64_t end = manifest_stream_size(m);

	*out = (struct seam_sides){ .front_end = 0 };
	if (behind != LANDING_NOWHERE && behind < end) {
		out->behind_at = place_in_file(m, behind);
		out->behind = read_side(h->raw + CHUNKER_MAX, h, behind,
					MIN_OF((uint64_t)size, end - behind));
	}
	if (front != LANDING_NOWHERE && front > 0) {
		uint64_t before = MIN_OF((uint64_t)size, front);

		out->front_end = place_in_file(m, front - 1) + 1;
		out->front = read_side(h->raw + 2 * (size_t)CHUNKER_MAX, h, front - before, before);
	}
}

enum seam landing_seam(struct landing_hand *h, uint32_t chunk, uint64_t behind, uint64_t front)
{
	struct landing *l = h->landing;
	const struct manifest_chunk *c = chunk_at(l, chunk);
	struct seam_sides sides;
	enum seam how;

	if (atomic_load(&l->broken) || !take(l, chunk))
		return SEAM_NONE;
	read_sides(&sides, h, behind, front, c->size);
	how = seam_find(h->raw, c->size, &c->id, &sides, h->hash);
	if (how == SEAM_NONE)
		give_back(l, chunk);
	else if (land(h, chunk, span_of(h->raw, c->size)))
		atomic_fetch_add(&l->bytes_seed, mark_done(l, chunk));
	return how;
}

static void note_corrupt(struct landing *l, const struct index *idx, uint32_t frame,
			 const char *problem)
{
	const struct index_frame *f = index_frame_at(idx, frame);
	char pack[PACK_NAME_MAX];
	struct err err = { 0 };

	pack_print_name(pack, &index_pack_at(idx, f->pack)->digest);
	err_set(&err, ERR_CORRUPT, "packs/%s: the frame at byte %" PRIu64 " %s", pack, f->offset,
		problem);
	note_fault(l, LANDING_CORRUPT, &err);
}

static enum landing_put put_here(uint32_t *landed_out, struct landing_hand *h,
				 const struct landing_lot *lot, struct err *err)
{
	for (*landed_out = 0; *landed_out < lot->count; ++*landed_out) {
		const struct landing_item *it = &lot->items[*landed_out];

		if (!is_chunk(h, &chunk_at(h->landing, it->chunk)->id, it->bytes))
			return LANDING_PUT_WRONG;
		if (!write_places(h, it->chunk, it->bytes, err))
			return LANDING_PUT_FAULT;
	}
	return LANDING_PUT_DONE;
}

/* Land a lot of taken chunks. False: *wrong_out is the one that is wrong, or the fault is noted
 * and it is NULL. */
static bool land_lot(const struct landing_item **wrong_out, struct landing_hand *h,
		     const struct landing_lot *lot)
{
	struct landing *l = h->landing;
	struct err err = { 0 };
	uint32_t landed = 0;
	enum landing_put how = l->port != NULL
				       ? l->port->put(&landed, l->port->ctx, h->number, lot, &err)
				       : put_here(&landed, h, lot, &err);

	for (uint32_t i = 0; i < landed; i++)
		mark_done(l, lot->items[i].chunk);
	atomic_fetch_add(&l->chunks_fetched, landed);
	for (uint32_t i = landed; i < lot->count; i++)
		give_back(l, lot->items[i].chunk);
	*wrong_out = how == LANDING_PUT_WRONG ? &lot->items[landed] : NULL;
	if (how == LANDING_PUT_FAULT)
		note_fault(l, LANDING_LOCAL, &err);
	return how == LANDING_PUT_DONE;
}

static void add_to(struct landing_lot *lot, uint32_t chunk, struct span bytes)
{
	lot->items[lot->count++] = (struct landing_item){ chunk, bytes };
}

/* One chunk of a decoded frame, if it is wanted and still missing. */
static void add_fetched(struct landing_lot *lot, struct landing *l, const struct index_chunk *at,
			struct span raw)
{
	uint32_t chunk = chunkmap_find(l->want, &at->id);

	if (chunk != CHUNKMAP_NONE && at->size == chunk_at(l, chunk)->size && take(l, chunk))
		add_to(lot, chunk, span_of(raw.data + at->offset, at->size));
}

static void note_wrong_chunk(struct landing *l, const struct index *idx, uint32_t frame,
			     uint32_t chunk)
{
	char hex[DIGEST_HEX_SIZE];
	SCOPED_TEXT char *problem = NULL;

	digest_print(hex, &chunk_at(l, chunk)->id);
	problem = alloc_printf("does not hold chunk %.16s…", hex);
	note_corrupt(l, idx, frame, problem);
}

/* The frame's bytes decoded; stored ones are used where they stand. */
static bool decode(struct span *raw, struct landing_hand *h, const struct index_frame *f,
		   struct span stored)
{
	struct err ignored = { 0 };

	if (f->codec == FRAME_STORED) {
		*raw = stored;
		return stored.size == f->raw_size;
	}
	*raw = span_of(h->raw, f->raw_size);
	return frame_decode(h->raw, f->raw_size, h->decoder, f->codec, stored, &ignored);
}

bool landing_decode(struct span *raw, struct landing_hand *h, const struct index *idx,
		    uint32_t frame, struct span stored)
{
	struct err ignored = { 0 };

	/* After a corrupt frame the ones behind it still count; a tree that cannot be written stays
	 * so. */
	if (atomic_load(&h->landing->broken) &&
	    landing_fault(h->landing, &ignored) == LANDING_LOCAL)
		return false;
	if (decode(raw, h, index_frame_at(idx, frame), stored))
		return true;
	note_corrupt(h->landing, idx, frame, "cannot be decoded");
	return false;
}

bool landing_chunks(struct landing_hand *h, const struct index *idx, uint32_t first, uint32_t count,
		    struct span raw)
{
	while (count > 0) {
		struct landing_lot lot = { 0 };
		const struct landing_item *wrong;
		uint32_t some = MIN_OF(count, (uint32_t)LANDING_LOT_MAX);

		for (uint32_t n = first; n < first + some; n++)
			add_fetched(&lot, h->landing, index_chunk_at(idx, n), raw);
		if (!land_lot(&wrong, h, &lot)) {
			if (wrong != NULL)
				note_wrong_chunk(h->landing, idx, index_chunk_at(idx, first)->frame,
						 wrong->chunk);
			return false;
		}
		first += some;
		count -= some;
	}
	return true;
}

static void note_wrong_made(struct landing *l, uint32_t chunk)
{
	struct err err = { 0 };

	err_set(&err, ERR_CORRUPT, "chunk %" PRIu32 " does not come out of the patch", chunk);
	note_fault(l, LANDING_WRONG, &err);
}

/* What is missing of the places [first, first + count); returns the bytes behind them. */
static struct span add_made(struct landing_lot *lot, struct landing *l, uint32_t first,
			    uint32_t count, struct span bytes)
{
	for (uint32_t n = first; n < first + count; n++) {
		uint32_t size = chunk_at(l, n)->size;
		uint32_t chunk = l->want->first[n];

		if (take(l, chunk))
			add_to(lot, chunk, span_of(bytes.data, size));
		bytes = span_skip(bytes, size);
	}
	return bytes;
}

void landing_made(struct landing_hand *h, uint32_t first, uint32_t count, struct span bytes)
{
	struct landing *l = h->landing;

	while (count > 0 && !atomic_load(&l->broken)) {
		struct landing_lot lot = { 0 };
		const struct landing_item *wrong;
		uint32_t some = MIN_OF(count, (uint32_t)LANDING_LOT_MAX);

		bytes = add_made(&lot, l, first, some, bytes);
		if (!land_lot(&wrong, h, &lot)) {
			if (wrong != NULL)
				note_wrong_made(l, wrong->chunk);
			return;
		}
		first += some;
		count -= some;
	}
}

static bool is_first_place(const struct landing *l, uint32_t chunk)
{
	return chunk < chunk_count(l) && l->want->first[chunk] == chunk;
}

enum landing_put landing_offer(struct landing_hand *h, uint32_t chunk, const uint8_t *bytes,
			       struct err *err)
{
	struct landing *l = h->landing;
	struct landing_lot lot = { 0 };
	enum landing_put how;
	uint32_t landed;
	uint8_t *copy;

	if (!is_first_place(l, chunk))
		return LANDING_PUT_WRONG;
	if (!take(l, chunk))
		return LANDING_PUT_DONE;
	copy = l->recent != NULL ? recent_room(l->recent, h->number, chunk_at(l, chunk)) : h->raw;
	memcpy(copy, bytes, chunk_at(l, chunk)->size);
	add_to(&lot, chunk, span_of(copy, chunk_at(l, chunk)->size));
	how = put_here(&landed, h, &lot, err);
	if (how != LANDING_PUT_DONE) {
		give_back(l, chunk);
		return how;
	}
	if (l->recent != NULL)
		recent_publish(l->recent, h->number);
	mark_done(l, chunk);
	return how;
}
