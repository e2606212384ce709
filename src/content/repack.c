#include "content/repack.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "content/catalogue.h"
#include "content/chunkmap.h"
#include "content/idmap.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/pack.h"
#include "content/press.h"
#include "content/unpack.h"

/* A version as it stands in the library. */
struct kept {
	struct manifest *manifest;
	struct index *index;
	struct chunkmap chunks; /* of the manifest */
};

/* A pack that some kept version names. */
struct used_pack {
	struct digest digest;
	uint64_t size;
	uint64_t live; /* bytes in it that are needed, about: frames are counted by their share */
	uint64_t move; /* the same before compression */
	bool is_sparse;
};

struct repack {
	const struct repack_options *options;
	struct library lib;
	struct kept *kept;
	struct used_pack *packs;
	uint32_t pack_count;
	struct idmap by_digest;
	struct digest *live; /* chunks that were counted */
	uint32_t live_count;
	struct idmap by_id;
	struct catalogue *cat;
	struct press *press;
	struct press_buffer *open;
};

#define REPACK_EMPTY                 \
	{                            \
		.lib = LIBRARY_EMPTY \
	}

static void repack_release(struct repack *r)
{
	for (size_t i = 0; r->kept != NULL && i < r->options->count; i++) {
		chunkmap_release(&r->kept[i].chunks);
		manifest_free(r->kept[i].manifest);
		index_free(r->kept[i].index);
	}
	free(r->kept);
	free(r->packs);
	idmap_release(&r->by_digest);
	free(r->live);
	idmap_release(&r->by_id);
	press_free(r->press);
	catalogue_free(r->cat);
	library_close(&r->lib);
}
SCOPED_RELEASE(repack);

void repack_result_release(struct repack_result *r)
{
	free(r->made);
	*r = (struct repack_result){ 0 };
}

/* ---- what is there ---- */

static bool load(struct kept *k, const struct library *lib, const struct repack_version *of,
		 struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	if (!manifest_read(&k->manifest, of->manifest, err))
		return false;
	chunkmap_init(&k->chunks, k->manifest);
	return library_read_index(&k->index, &bytes, lib, of->index, err);
}

static bool load_all(struct repack *r, struct err *err)
{
	const struct repack_options *o = r->options;

	r->kept = alloc_zeroed(MAX_OF(o->count, 1), sizeof(*r->kept));
	for (size_t i = 0; i < o->count; i++)
		if (!load(&r->kept[i], &r->lib, &o->versions[i], err))
			return false;
	return true;
}

/* ---- how much of each pack is needed ---- */

static const struct digest *pack_at(uint32_t number, const void *ctx)
{
	const struct repack *r = ctx;

	return &r->packs[number].digest;
}

static const struct digest *live_at(uint32_t number, const void *ctx)
{
	const struct repack *r = ctx;

	return &r->live[number];
}

static struct used_pack *find_pack(struct repack *r, const struct index_pack *pack)
{
	uint32_t number = idmap_find(&r->by_digest, &pack->digest, pack_at, r);

	if (number != IDMAP_NONE)
		return &r->packs[number];
	number = r->pack_count;
	ALLOC_GROW(r->packs, r->pack_count);
	r->packs[r->pack_count++] = (struct used_pack){ .digest = pack->digest,
							.size = pack->size };
	idmap_put(&r->by_digest, number, pack_at, r);
	return &r->packs[number];
}

/* Once for each chunk, in the first place that it is met in. */
static void count_chunk(struct repack *r, const struct index *idx, const struct index_chunk *chunk)
{
	const struct index_frame *frame = index_frame_at(idx, chunk->frame);
	struct used_pack *pack;

	if (idmap_find(&r->by_id, &chunk->id, live_at, r) != IDMAP_NONE)
		return;
	ALLOC_GROW(r->live, r->live_count);
	r->live[r->live_count] = chunk->id;
	idmap_put(&r->by_id, r->live_count++, live_at, r);
	pack = find_pack(r, index_pack_at(idx, frame->pack));
	pack->live += (uint64_t)chunk->size * frame->stored_size / frame->raw_size;
	pack->move += chunk->size;
}

static void count_version(struct repack *r, const struct kept *k)
{
	for (uint32_t i = 0; i < index_pack_count(k->index); i++)
		(void)find_pack(r, index_pack_at(k->index, i));
	for (uint32_t i = 0; i < index_chunk_count(k->index); i++) {
		const struct index_chunk *chunk = index_chunk_at(k->index, i);

		if (chunkmap_find(&k->chunks, &chunk->id) != CHUNKMAP_NONE)
			count_chunk(r, k->index, chunk);
	}
}

/* Up to a sum, so that a run ends: the next one goes on. */
static void find_sparse(struct repack *r, struct repack_result *out)
{
	const struct repack_options *o = r->options;
	uint32_t percent = o->live_percent != 0 ? o->live_percent : REPACK_LIVE_PERCENT;
	uint64_t dead_min = o->dead_min != 0 ? o->dead_min : REPACK_DEAD_MIN, moved = 0;

	for (uint32_t i = 0; i < r->pack_count; i++) {
		struct used_pack *p = &r->packs[i];

		if (p->live >= p->size || p->size - p->live < dead_min ||
		    p->live > p->size / 100 * percent ||
		    (moved > 0 && moved + p->move > REPACK_MOVE_MAX))
			continue;
		p->is_sparse = true;
		moved += p->move;
		out->packs_old++;
		out->bytes_old += p->size;
	}
}

/* ---- moving ---- */

static bool is_sparse(struct repack *r, const struct index_pack *pack)
{
	return find_pack(r, pack)->is_sparse;
}

static bool is_dense(const struct index_pack *pack, void *ctx)
{
	struct repack *r = ctx;

	return !is_sparse(r, pack) && library_has_pack(&r->lib, pack);
}

static void close_frame(struct repack *r)
{
	if (r->open != NULL)
		press_submit(r->press, r->open);
	r->open = NULL;
}

static void add_chunk(struct repack *r, const struct digest *id, struct span bytes)
{
	bool dense = frame_is_dense(bytes);

	if (r->open != NULL &&
	    (FRAME_RAW_MAX - r->open->size < bytes.size || r->open->is_dense != dense))
		close_frame(r);
	if (r->open == NULL) {
		r->open = press_buffer(r->press);
		r->open->frame = catalogue_add_frame(r->cat);
		r->open->is_dense = dense;
	}
	memcpy(r->open->data + r->open->size, bytes.data, bytes.size);
	r->open->size += (uint32_t)bytes.size;
	catalogue_add_chunk(r->cat, r->open->frame, id, (uint32_t)bytes.size);
}

/* In the order of the old packs, in which each frame is decoded once. */
static bool move_version(struct repack *r, const struct kept *k, struct err *err)
{
	SCOPED(unpack_reader)
	struct unpack_reader *reader = unpack_reader_new(r->lib.folder, k->index);
	const atomic_bool *cancel = r->options->cancel;

	for (uint32_t i = 0; i < index_chunk_count(k->index); i++) {
		const struct index_chunk *chunk = index_chunk_at(k->index, i);
		struct span bytes;

		if (chunkmap_find(&k->chunks, &chunk->id) == CHUNKMAP_NONE ||
		    catalogue_find(r->cat, &chunk->id) != IDMAP_NONE)
			continue;
		if (cancel != NULL && atomic_load(cancel))
			return err_set(err, ERR_INTERRUPTED, "it was stopped");
		if (press_has_failed(r->press))
			return true; /* the commit says why */
		if (!unpack_reader_get(&bytes, reader, chunk, err))
			return false;
		add_chunk(r, &chunk->id, bytes);
	}
	return true;
}

static bool move_all(struct repack *r, struct repack_result *out, struct err *err)
{
	const struct repack_options *o = r->options;

	r->cat = catalogue_new();
	for (size_t i = 0; i < o->count; i++)
		catalogue_learn(r->cat, r->kept[i].index, is_dense, r);
	r->press = press_new(r->lib.packs, FRAME_LEVEL_DEFAULT,
			     o->pack_bytes != 0 ? o->pack_bytes : PACK_BYTES_TARGET);
	for (size_t i = 0; i < o->count; i++)
		if (!move_version(r, &r->kept[i], err))
			return false;
	close_frame(r);
	if (!press_commit(r->press, r->cat, err))
		return false;
	out->packs_new = press_pack_count(r->press);
	out->bytes_new = press_pack_bytes(r->press);
	return true;
}

/* ---- new indexes ---- */

static bool names_sparse(struct repack *r, const struct index *idx)
{
	for (uint32_t i = 0; i < index_pack_count(idx); i++)
		if (is_sparse(r, index_pack_at(idx, i)))
			return true;
	return false;
}

/* Patches and streams lead to the tree and say nothing of packs. */
static bool take_deltas(struct buf *bytes, const struct index *from, struct err *err)
{
	SCOPED(index) struct index *idx = NULL;

	if (!index_read(&idx, buf_span(bytes), err))
		return false;
	for (uint32_t i = 0; i < index_delta_count(from); i++)
		index_set_delta(idx, index_delta_at(from, i));
	buf_clear(bytes);
	return index_write(bytes, idx, err);
}

static bool write_index(struct repack_made *made, struct repack *r, size_t number, struct err *err)
{
	const struct kept *k = &r->kept[number];
	SCOPED(buf) struct buf bytes = { 0 };

	catalogue_use_none(r->cat);
	for (uint32_t i = 0; i < manifest_chunk_count(k->manifest); i++) {
		uint32_t chunk = catalogue_find(r->cat, &manifest_chunk_at(k->manifest, i)->id);

		if (chunk == IDMAP_NONE)
			return err_set(err, ERR_CORRUPT,
				       "a chunk of version %u is nowhere in the library",
				       r->options->versions[number].version);
		catalogue_use(r->cat, chunk);
	}
	if (!catalogue_write(&bytes, r->cat, err) || !take_deltas(&bytes, k->index, err) ||
	    !library_add_index(made->index, &r->lib, r->options->versions[number].version,
			       buf_span(&bytes), err))
		return false;
	made->index_size = bytes.size;
	return true;
}

static bool write_indexes(struct repack_result *out, struct repack *r, struct err *err)
{
	out->made = alloc_zeroed(MAX_OF(r->options->count, 1), sizeof(*out->made));
	for (size_t i = 0; i < r->options->count; i++)
		if (names_sparse(r, r->kept[i].index) && !write_index(&out->made[i], r, i, err))
			return false;
	return true;
}

bool repack_run(struct repack_result *out, const struct repack_options *options, struct err *err)
{
	SCOPED(repack) struct repack r = REPACK_EMPTY;

	*out = (struct repack_result){ 0 };
	r.options = options;
	if (!library_open(&r.lib, options->library, options->package, err) || !load_all(&r, err))
		return false;
	for (size_t i = 0; i < options->count; i++)
		count_version(&r, &r.kept[i]);
	find_sparse(&r, out);
	if (out->packs_old == 0)
		return true;
	if (move_all(&r, out, err) && write_indexes(out, &r, err))
		return true;
	repack_result_release(out);
	return false;
}
