#include "content/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "content/chunker.h"
#include "content/compact.h"
#include "content/idmap.h"
#include "content/pack.h"

#define VERSION_DIGITS_MAX 10

struct index {
	struct index_pack *packs;
	struct index_frame *frames;
	struct index_chunk *chunks;
	struct index_delta *deltas;
	struct idmap by_id; /* of chunks; only when read */
	bool is_read;
	uint32_t pack_count, frame_count, chunk_count, delta_count;
};

static const struct compact_kind index_kind = {
	.magic = "PWIX",
	.noun = "index",
	.bytes_max = INDEX_BYTES_MAX,
	.body_max = INDEX_BODY_MAX,
};

struct index *index_new(void)
{
	return alloc_zeroed(1, sizeof(struct index));
}

void index_free(struct index *idx)
{
	if (idx == NULL)
		return;
	free(idx->packs);
	free(idx->frames);
	free(idx->chunks);
	free(idx->deltas);
	idmap_release(&idx->by_id);
	free(idx);
}

void index_add_pack(struct index *idx, const struct digest *digest, uint64_t size)
{
	ALLOC_GROW(idx->packs, idx->pack_count);
	idx->packs[idx->pack_count++] = (struct index_pack){
		.digest = *digest,
		.size = size,
		.first_frame = idx->frame_count,
	};
}

void index_add_frame(struct index *idx, uint64_t offset, uint32_t stored_size,
		     enum frame_codec codec)
{
	assert(idx->pack_count > 0);
	idx->packs[idx->pack_count - 1].frame_count++;
	ALLOC_GROW(idx->frames, idx->frame_count);
	idx->frames[idx->frame_count++] = (struct index_frame){
		.offset = offset,
		.pack = idx->pack_count - 1,
		.stored_size = stored_size,
		.first_chunk = idx->chunk_count,
		.codec = codec,
	};
}

void index_add_chunk(struct index *idx, const struct digest *id, uint32_t size)
{
	struct index_frame *frame;

	assert(idx->frame_count > 0);
	frame = &idx->frames[idx->frame_count - 1];
	ALLOC_GROW(idx->chunks, idx->chunk_count);
	idx->chunks[idx->chunk_count++] = (struct index_chunk){
		.id = *id,
		.frame = idx->frame_count - 1,
		.offset = frame->raw_size,
		.size = size,
	};
	frame->chunk_count++;
	frame->raw_size += size;
}

void index_add_delta(struct index *idx, const struct index_delta *delta)
{
	ALLOC_GROW(idx->deltas, idx->delta_count);
	idx->deltas[idx->delta_count++] = *delta;
}

static int compare_deltas(const struct index_delta *a, const struct index_delta *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return digest_compare(&a->digest, &b->digest);
}

static int compare_delta_places(const void *a, const void *b)
{
	return compare_deltas(a, b);
}

void index_drop_deltas(struct index *idx)
{
	idx->delta_count = 0;
}

void index_set_delta(struct index *idx, const struct index_delta *delta)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < idx->delta_count; i++)
		if (idx->deltas[i].kind != delta->kind || idx->deltas[i].from != delta->from)
			idx->deltas[kept++] = idx->deltas[i];
	/* Growing by doubling goes by the count: give it room that fits. */
	idx->deltas = alloc_resize(idx->deltas,
				   (size_t)(idx->delta_count + 2) * 2 * sizeof(*idx->deltas));
	idx->deltas[kept++] = *delta;
	idx->delta_count = kept;
	qsort(idx->deltas, kept, sizeof(*idx->deltas), compare_delta_places);
}

/* Checks that reading and writing share. */

static bool check_counts(const struct index *idx, struct err *err)
{
	static const char too_many[] = "index: %u %s, at most %u are allowed";

	if (idx->pack_count > INDEX_PACKS_MAX)
		return err_set(err, ERR_LIMIT, too_many, idx->pack_count, "packs", INDEX_PACKS_MAX);
	if (idx->frame_count > INDEX_FRAMES_MAX)
		return err_set(err, ERR_LIMIT, too_many, idx->frame_count, "frames",
			       INDEX_FRAMES_MAX);
	if (idx->chunk_count > INDEX_CHUNKS_MAX)
		return err_set(err, ERR_LIMIT, too_many, idx->chunk_count, "chunks",
			       INDEX_CHUNKS_MAX);
	if (idx->delta_count > INDEX_DELTAS_MAX)
		return err_set(err, ERR_LIMIT, too_many, idx->delta_count, "patches and streams",
			       INDEX_DELTAS_MAX);
	return true;
}

static bool check_pack(const struct index *idx, uint32_t number, struct err *err)
{
	const struct index_pack *pack = &idx->packs[number];
	uint64_t end = 0;

	if (pack->size > PACK_BYTES_MAX || pack->frame_count == 0)
		return err_set(err, ERR_FORMAT, "index: pack %u is too large or has no frames",
			       number);
	if (number > 0 && digest_compare(&idx->packs[number - 1].digest, &pack->digest) >= 0)
		return err_set(err, ERR_FORMAT, "index: packs do not ascend");
	for (uint32_t i = 0; i < pack->frame_count; i++) {
		const struct index_frame *frame = &idx->frames[pack->first_frame + i];

		if (frame->offset < end || frame->offset > pack->size ||
		    frame->stored_size > pack->size - frame->offset)
			return err_set(err, ERR_FORMAT, "index: frame %u is not in its pack",
				       pack->first_frame + i);
		end = frame->offset + frame->stored_size;
	}
	return true;
}

static bool check_frame(const struct index *idx, uint32_t number, struct err *err)
{
	const struct index_frame *frame = &idx->frames[number];
	bool stored = frame->codec == FRAME_STORED;

	if (frame->codec >= FRAME_CODEC_COUNT_ || frame->stored_size == 0 ||
	    frame->stored_size > FRAME_STORED_MAX || frame->chunk_count == 0 ||
	    frame->raw_size > FRAME_RAW_MAX || (stored && frame->stored_size != frame->raw_size))
		return err_set(err, ERR_FORMAT, "index: frame %u has impossible sizes", number);
	for (uint32_t i = 0; i < frame->chunk_count; i++) {
		uint32_t size = idx->chunks[frame->first_chunk + i].size;

		if (size == 0 || size > CHUNKER_MAX)
			return err_set(err, ERR_FORMAT, "index: a chunk of frame %u has %u bytes",
				       number, size);
	}
	return true;
}

static bool check_delta(const struct index *idx, uint32_t number, struct err *err)
{
	const struct index_delta *delta = &idx->deltas[number];

	if (delta->kind >= INDEX_DELTA_KIND_COUNT_ ||
	    (delta->kind == INDEX_STREAM) != (delta->from == 0))
		return err_set(err, ERR_FORMAT, "index: patch %u starts from nowhere", number);
	if (number > 0 && compare_deltas(delta - 1, delta) >= 0)
		return err_set(err, ERR_FORMAT, "index: patches do not ascend");
	return true;
}

static bool check(const struct index *idx, struct err *err)
{
	if (!check_counts(idx, err))
		return false;
	for (uint32_t i = 0; i < idx->pack_count; i++)
		if (!check_pack(idx, i, err))
			return false;
	for (uint32_t i = 0; i < idx->frame_count; i++)
		if (!check_frame(idx, i, err))
			return false;
	for (uint32_t i = 0; i < idx->delta_count; i++)
		if (!check_delta(idx, i, err))
			return false;
	return true;
}

static void put_frame(struct buf *out, const struct index *idx, const struct index_frame *frame,
		      uint64_t end)
{
	buf_put_varint(out, frame->offset - end);
	buf_put_varint(out, frame->stored_size);
	buf_put_u8(out, (uint8_t)frame->codec);
	buf_put_varint(out, frame->chunk_count);
	for (uint32_t i = 0; i < frame->chunk_count; i++)
		buf_put_varint(out, idx->chunks[frame->first_chunk + i].size);
}

static void put_pack(struct buf *out, const struct index *idx, const struct index_pack *pack)
{
	uint64_t end = 0;

	buf_put(out, pack->digest.bytes, DIGEST_SIZE);
	buf_put_varint(out, pack->size);
	buf_put_varint(out, pack->frame_count);
	for (uint32_t i = 0; i < pack->frame_count; i++) {
		const struct index_frame *frame = &idx->frames[pack->first_frame + i];

		put_frame(out, idx, frame, end);
		end = frame->offset + frame->stored_size;
	}
}

static void put_delta(struct buf *out, const struct index_delta *delta)
{
	buf_put_u8(out, (uint8_t)delta->kind);
	buf_put_varint(out, delta->from);
	buf_put(out, delta->digest.bytes, DIGEST_SIZE);
	buf_put_varint(out, delta->size);
}

bool index_write(struct buf *out, const struct index *idx, struct err *err)
{
	SCOPED(buf) struct buf body = { 0 };

	if (!check(idx, err))
		return false;
	buf_put_varint(&body, idx->pack_count);
	for (uint32_t i = 0; i < idx->pack_count; i++)
		put_pack(&body, idx, &idx->packs[i]);
	for (uint32_t i = 0; i < idx->chunk_count; i++)
		buf_put(&body, idx->chunks[i].id.bytes, DIGEST_SIZE);
	buf_put_varint(&body, idx->delta_count);
	for (uint32_t i = 0; i < idx->delta_count; i++)
		put_delta(&body, &idx->deltas[i]);
	return compact_write(out, &index_kind, buf_span(&body), err);
}

/* Reading. `body` advances; false means that it ended or broke a limit. */

static bool take_frame(struct index *idx, uint64_t *end, struct span *body)
{
	static const struct digest later;
	uint64_t gap, stored_size, chunks, size;
	uint64_t room = FRAME_RAW_MAX;
	uint8_t codec;

	if (!span_take_varint(body, &gap, PACK_BYTES_MAX) ||
	    !span_take_varint(body, &stored_size, FRAME_STORED_MAX) ||
	    !span_take_u8(body, &codec) || codec >= FRAME_CODEC_COUNT_ ||
	    !span_take_varint(body, &chunks, FRAME_RAW_MAX))
		return false;
	index_add_frame(idx, *end + gap, (uint32_t)stored_size, (enum frame_codec)codec);
	*end += gap + stored_size;
	for (uint64_t i = 0; i < chunks; i++) {
		if (!span_take_varint(body, &size, CHUNKER_MAX) || size > room ||
		    idx->chunk_count == INDEX_CHUNKS_MAX)
			return false;
		index_add_chunk(idx, &later, (uint32_t)size);
		room -= size;
	}
	return true;
}

static bool take_pack(struct index *idx, struct span *body)
{
	struct digest digest;
	uint64_t size, frames, end = 0;

	if (!span_take_copy(body, digest.bytes, DIGEST_SIZE) ||
	    !span_take_varint(body, &size, PACK_BYTES_MAX) ||
	    !span_take_varint(body, &frames, INDEX_FRAMES_MAX - idx->frame_count))
		return false;
	index_add_pack(idx, &digest, size);
	for (uint64_t i = 0; i < frames; i++)
		if (!take_frame(idx, &end, body))
			return false;
	return true;
}

static bool take_packs(struct index *idx, struct span *body)
{
	uint64_t count;

	if (!span_take_varint(body, &count, INDEX_PACKS_MAX))
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (!take_pack(idx, body))
			return false;
	return true;
}

static bool take_ids(struct index *idx, struct span *body)
{
	for (uint32_t i = 0; i < idx->chunk_count; i++)
		if (!span_take_copy(body, idx->chunks[i].id.bytes, DIGEST_SIZE))
			return false;
	return true;
}

static bool take_deltas(struct index *idx, struct span *body)
{
	uint64_t count, from;

	if (!span_take_varint(body, &count, INDEX_DELTAS_MAX))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct index_delta delta = { 0 };
		uint8_t kind;

		if (!span_take_u8(body, &kind) || kind >= INDEX_DELTA_KIND_COUNT_ ||
		    !span_take_varint(body, &from, UINT32_MAX) ||
		    !span_take_copy(body, delta.digest.bytes, DIGEST_SIZE) ||
		    !span_take_varint(body, &delta.size, UINT64_MAX))
			return false;
		delta.kind = (enum index_delta_kind)kind;
		delta.from = (uint32_t)from;
		index_add_delta(idx, &delta);
	}
	return true;
}

static bool take_body(struct index *idx, struct span body, struct err *err)
{
	static const struct {
		bool (*take)(struct index *idx, struct span *body);
		const char *noun;
	} parts[] = {
		{ take_packs, "packs" },
		{ take_ids, "chunk ids" },
		{ take_deltas, "patches" },
	};

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (!parts[i].take(idx, &body))
			return err_set(err, ERR_FORMAT, "index: broken in its %s", parts[i].noun);
	if (body.size > 0)
		return err_set(err, ERR_FORMAT, "index: %zu bytes behind its end", body.size);
	return true;
}

static const struct digest *chunk_id(uint32_t number, const void *ctx)
{
	const struct index *idx = ctx;

	return &idx->chunks[number].id;
}

static bool fill_map(struct index *idx, struct err *err)
{
	for (uint32_t i = 0; i < idx->chunk_count; i++)
		if (!idmap_put(&idx->by_id, i, chunk_id, idx))
			return err_set(err, ERR_FORMAT, "index: its chunk ids are no hashes");
	idx->is_read = true;
	return true;
}

bool index_read(struct index **out, struct span bytes, struct err *err)
{
	SCOPED(index) struct index *idx = index_new();
	SCOPED(buf) struct buf body = { 0 };

	if (!compact_read(&body, &index_kind, bytes, err) ||
	    !take_body(idx, buf_span(&body), err) || !check(idx, err) || !fill_map(idx, err))
		return false;
	*out = idx;
	idx = NULL;
	return true;
}

uint32_t index_pack_count(const struct index *idx)
{
	return idx->pack_count;
}

const struct index_pack *index_pack_at(const struct index *idx, uint32_t number)
{
	assert(number < idx->pack_count);
	return &idx->packs[number];
}

uint32_t index_frame_count(const struct index *idx)
{
	return idx->frame_count;
}

const struct index_frame *index_frame_at(const struct index *idx, uint32_t number)
{
	assert(number < idx->frame_count);
	return &idx->frames[number];
}

uint32_t index_chunk_count(const struct index *idx)
{
	return idx->chunk_count;
}

const struct index_chunk *index_chunk_at(const struct index *idx, uint32_t number)
{
	assert(number < idx->chunk_count);
	return &idx->chunks[number];
}

uint32_t index_delta_count(const struct index *idx)
{
	return idx->delta_count;
}

const struct index_delta *index_delta_at(const struct index *idx, uint32_t number)
{
	assert(number < idx->delta_count);
	return &idx->deltas[number];
}

const struct index_chunk *index_find(const struct index *idx, const struct digest *id)
{
	uint32_t number;

	assert(idx->is_read); /* one that is being made has no map yet */
	number = idmap_find(&idx->by_id, id, chunk_id, idx);
	return number != IDMAP_NONE ? &idx->chunks[number] : NULL;
}

void index_print_delta(char *dst, uint32_t version, const struct index_delta *delta)
{
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, &delta->digest);
	if (delta->kind == INDEX_STREAM)
		snprintf(dst, INDEX_NAME_MAX, "patches/none-%u-%s", version, hex);
	else
		snprintf(dst, INDEX_NAME_MAX, "patches/%u-%u-%s", delta->from, version, hex);
}

void index_print_name(char *dst, uint32_t version, struct span index_bytes)
{
	SCOPED(buf) struct buf name = { 0 };
	struct digest digest;
	char hex[DIGEST_HEX_SIZE];

	digest_of(&digest, index_bytes);
	digest_print(hex, &digest);
	buf_printf(&name, "%u-%s", version, hex);
	memcpy(dst, buf_text(&name), name.size + 1);
}

bool index_parse_name(uint32_t *version_out, struct digest *digest_out, const char *name)
{
	struct span rest = span_of_text(name);
	struct span number;
	char text[VERSION_DIGITS_MAX + 1] = "";
	uint64_t version;

	if (!span_take_until(&rest, &number, '-', VERSION_DIGITS_MAX) || number.size == 0 ||
	    number.data[0] == '0')
		return false;
	memcpy(text, number.data, number.size);
	if (!text_u64(&version, text, 1, UINT32_MAX) ||
	    !digest_parse_exact(digest_out, (const char *)rest.data))
		return false;
	*version_out = (uint32_t)version;
	return true;
}

struct index_object_iter index_objects(const struct index *idx, uint32_t version,
				       struct span index_bytes)
{
	return (struct index_object_iter){
		.idx = idx,
		.index_bytes = index_bytes,
		.version = version,
	};
}

static void set_name(struct index_object *out, const struct buf *name)
{
	assert(name->size < sizeof(out->name));
	memcpy(out->name, name->data, name->size + 1);
}

static void describe_pack(struct index_object *out, const struct index_pack *pack)
{
	SCOPED(buf) struct buf name = { 0 };
	char file[PACK_NAME_MAX];

	pack_print_name(file, &pack->digest);
	buf_printf(&name, "packs/%s", file);
	set_name(out, &name);
	out->digest = pack->digest;
	out->size = pack->size;
}

static void describe_delta(struct index_object *out, const struct index_delta *delta,
			   uint32_t version)
{
	index_print_delta(out->name, version, delta);
	out->digest = delta->digest;
	out->size = delta->size;
}

static void describe_self(struct index_object *out, const struct index_object_iter *it)
{
	SCOPED(buf) struct buf name = { 0 };
	char file[INDEX_NAME_MAX];

	index_print_name(file, it->version, it->index_bytes);
	buf_printf(&name, "index/%s", file);
	set_name(out, &name);
	digest_of(&out->digest, it->index_bytes);
	out->size = it->index_bytes.size;
}

bool index_object_next(struct index_object_iter *it, struct index_object *out)
{
	uint32_t packs = it->idx->pack_count;
	uint32_t deltas = it->idx->delta_count;
	uint32_t n = it->next++;

	if (n < packs)
		describe_pack(out, &it->idx->packs[n]);
	else if (n < packs + deltas)
		describe_delta(out, &it->idx->deltas[n - packs], it->version);
	else if (n == packs + deltas)
		describe_self(out, it);
	else
		return false;
	return true;
}
