/*
 * A distribution point in memory, with versions of one package made from tables of files, and
 * faults on request. Serves as the source of the assembler's tests.
 */
#ifndef TESTS_SUPPORT_FAKEDP_H
#define TESTS_SUPPORT_FAKEDP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/random.h"
#include "content/assemble.h"
#include "content/chunker.h"
#include "content/chunkmap.h"
#include "content/frame.h"
#include "content/index.h"
#include "content/manifest.h"
#include "content/pack.h"
#include "content/pairing.h"
#include "content/patchwriter.h"
#include "content/transfer.h"
#include "support/testing.h"

#define FAKEDP_FRAME_RAW (512u << 10) /* small frames, so that small packages have several */
#define FAKEDP_PACKS_MAX 16

/* One entry of a package under test. */
struct fakefile {
	const char *path;
	uint64_t seed; /* the content is random bytes from it */
	uint32_t size;
	uint16_t mode;      /* 0: 0644 for files, 0755 for folders */
	const char *target; /* a link */
	bool is_dir;
};

struct fakepack {
	struct digest digest;
	struct buf bytes;
	struct {
		uint64_t offset;
		uint32_t stored_size, first_chunk, chunk_count;
		enum frame_codec codec;
	} * frames;
	uint32_t frame_count;
	struct manifest_chunk *chunks;
	uint32_t chunk_count;
};

enum fakedp_fault {
	FAKEDP_FINE,
	FAKEDP_FLIP,      /* one bit of the byte at `fault_at` of packs */
	FAKEDP_TRUNCATED, /* packs end at `fault_at`, without an error */
	FAKEDP_CUT,       /* packs fail after `fault_at` bytes in all */
	FAKEDP_MISSING,   /* no packs */
	FAKEDP_WHOLE,     /* no ranges: the whole pack, then endless zeros */
	FAKEDP_SHIFTED,   /* bytes arrive as if they stood one further: a source that loses one */
	FAKEDP_BAD_INDEX, /* the index has a flipped bit */
};

struct fakedp {
	struct fakepack packs[FAKEDP_PACKS_MAX];
	size_t pack_count;
	struct fakepack delta; /* a patch or stream; none while it has no bytes */
	uint32_t delta_from;   /* 0: it is a stream */
	uint32_t version;      /* of the index */
	struct buf index;
	char index_name[INDEX_NAME_MAX];

	enum fakedp_fault fault;
	uint64_t fault_at;
	size_t piece; /* bytes handed to the sink at once; 0: 64 KiB */

	const struct recvroom *room; /* lent by who reads; NULL: none */
	uint64_t bytes_placed;       /* in it */

	uint64_t bytes_sent;         /* to sinks and as objects */
	uint32_t calls;              /* read_ranges and read_object */
	void (*on_piece)(void *ctx); /* before each piece; may be NULL */
	void *on_piece_ctx;
};

struct fakeversion {
	struct buf manifest;
	struct manifest *parsed;
	struct buf stream;
};

static inline void fakeversion_release(struct fakeversion *v)
{
	buf_release(&v->manifest);
	buf_release(&v->stream);
	manifest_free(v->parsed);
}

static inline void fakedp_release(struct fakedp *dp)
{
	for (size_t i = 0; i < dp->pack_count; i++) {
		buf_release(&dp->packs[i].bytes);
		free(dp->packs[i].frames);
		free(dp->packs[i].chunks);
	}
	buf_release(&dp->delta.bytes);
	buf_release(&dp->index);
}

/* The bytes of a file under test; a seed of 0 means zeros. */
static inline void fakefile_content(struct buf *out, const struct fakefile *f)
{
	struct random_seq r;
	uint8_t *dst = buf_reserve(out, f->size);

	random_seq_init(&r, f->seed, "fakefile");
	memset(dst, 0, f->size);
	for (uint32_t n = 0; f->seed != 0 && n < f->size; n += 8) {
		uint64_t bits = random_seq_next(&r);

		memcpy(dst + n, &bits, MIN_OF(f->size - n, 8));
	}
	buf_grew(out, f->size);
}

static inline int fakefile_compare(const void *a, const void *b)
{
	return strcmp(((const struct fakefile *)a)->path, ((const struct fakefile *)b)->path);
}

static inline uint32_t fakedp_find_same(const struct fakefile *files, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (files[i].target == NULL && !files[i].is_dir && files[i].size > 0 &&
		    files[i].size == files[n].size && files[i].seed == files[n].seed)
			return i;
	return MANIFEST_NOT_SAME;
}

static inline void fakedp_add_entries(struct fakeversion *v, struct manifest *m,
				      const struct fakefile *files, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		const struct fakefile *f = &files[n];
		struct manifest_entry e = { .path = f->path, .same_as = MANIFEST_NOT_SAME };

		e.type = f->target != NULL ? MANIFEST_LINK
			 : f->is_dir       ? MANIFEST_DIR
					   : MANIFEST_FILE;
		e.target = f->target;
		e.mode = f->target != NULL ? 0777
			 : f->mode != 0    ? f->mode
			 : f->is_dir       ? 0755
					   : 0644;
		if (e.type == MANIFEST_FILE) {
			e.size = f->size;
			e.same_as = fakedp_find_same(files, n);
			if (f->size > 0 && e.same_as == MANIFEST_NOT_SAME)
				fakefile_content(&v->stream, f);
		}
		manifest_add_entry(m, &e);
	}
}

static inline void fakedp_add_chunks(struct fakeversion *v, struct manifest *m)
{
	struct chunker *c = alloc_zeroed(1, sizeof(*c));
	struct span rest = buf_span(&v->stream);

	chunker_init(c);
	while (rest.size > 0) {
		size_t size = chunker_next(c, rest);
		struct digest id;

		if (size == 0)
			size = rest.size;
		digest_of(&id, span_of(rest.data, size));
		manifest_add_chunk(m, &id, (uint32_t)size);
		rest = span_skip(rest, size);
	}
	free(c);
}

static inline bool fakedp_holds(const struct fakedp *dp, const struct digest *id)
{
	for (size_t p = 0; p < dp->pack_count; p++)
		for (uint32_t n = 0; n < dp->packs[p].chunk_count; n++)
			if (digest_equal(&dp->packs[p].chunks[n].id, id))
				return true;
	return false;
}

static inline void fakedp_end_frame(struct fakepack *p, struct buf *raw, struct frame_encoder *enc)
{
	uint64_t offset = p->bytes.size;
	uint32_t first = p->frame_count > 0 ? p->frames[p->frame_count - 1].first_chunk +
						      p->frames[p->frame_count - 1].chunk_count
					    : 0;

	if (raw->size == 0)
		return;
	ALLOC_GROW(p->frames, p->frame_count);
	p->frames[p->frame_count].offset = offset;
	p->frames[p->frame_count].codec = frame_encode(&p->bytes, enc, buf_span(raw));
	p->frames[p->frame_count].stored_size = (uint32_t)(p->bytes.size - offset);
	p->frames[p->frame_count].first_chunk = first;
	p->frames[p->frame_count].chunk_count = p->chunk_count - first;
	p->frame_count++;
	buf_clear(raw);
}

/* A pack of the chunks that no pack has yet; none if there are none. */
static inline void fakedp_add_pack(struct fakedp *dp, const struct fakeversion *v)
{
	SCOPED(frame_encoder) struct frame_encoder *enc = frame_encoder_new(1);
	SCOPED(chunkmap) struct chunkmap map;
	SCOPED(buf) struct buf raw = { 0 };
	struct fakepack *p = &dp->packs[dp->pack_count];

	chunkmap_init(&map, v->parsed);
	for (uint32_t n = 0; n < manifest_chunk_count(v->parsed); n++) {
		const struct manifest_chunk *c = manifest_chunk_at(v->parsed, n);

		if (map.first[n] != n || fakedp_holds(dp, &c->id))
			continue;
		if (raw.size + c->size > FAKEDP_FRAME_RAW)
			fakedp_end_frame(p, &raw, enc);
		buf_put(&raw, v->stream.data + c->offset, c->size);
		ALLOC_GROW(p->chunks, p->chunk_count);
		p->chunks[p->chunk_count++] = *c;
	}
	fakedp_end_frame(p, &raw, enc);
	if (p->frame_count == 0)
		return;
	digest_of(&p->digest, buf_span(&p->bytes));
	dp->pack_count++;
}

static inline int fakepack_compare(const void *a, const void *b)
{
	return digest_compare(&((const struct fakepack *)a)->digest,
			      &((const struct fakepack *)b)->digest);
}

static inline struct index_delta fakedp_delta(const struct fakedp *dp)
{
	return (struct index_delta){
		.kind = dp->delta_from == 0 ? INDEX_STREAM : INDEX_PATCH,
		.from = dp->delta_from,
		.digest = dp->delta.digest,
		.size = dp->delta.bytes.size,
	};
}

static inline void fakedp_write_index(struct fakedp *dp, uint32_t version)
{
	const struct index_delta delta = fakedp_delta(dp);

	SCOPED(index) struct index *idx = index_new();
	struct err err = { 0 };

	qsort(dp->packs, dp->pack_count, sizeof(dp->packs[0]), fakepack_compare);
	for (size_t i = 0; i < dp->pack_count; i++) {
		const struct fakepack *p = &dp->packs[i];

		index_add_pack(idx, &p->digest, p->bytes.size);
		for (uint32_t f = 0; f < p->frame_count; f++) {
			index_add_frame(idx, p->frames[f].offset, p->frames[f].stored_size,
					p->frames[f].codec);
			for (uint32_t n = 0; n < p->frames[f].chunk_count; n++) {
				const struct manifest_chunk *c =
					&p->chunks[p->frames[f].first_chunk + n];

				index_add_chunk(idx, &c->id, c->size);
			}
		}
	}
	if (dp->delta.bytes.size > 0)
		index_add_delta(idx, &delta);
	dp->version = version;
	buf_clear(&dp->index);
	if (!index_write(&dp->index, idx, &err)) {
		fprintf(stderr, "index: %s\n", err.why);
		abort();
	}
	index_print_name(dp->index_name, version, buf_span(&dp->index));
}

/* Publish a version; files in any order. The index on the DP is that of the version added last. */
static inline void fakedp_publish(struct fakedp *dp, struct fakeversion *v, uint32_t version,
				  const struct fakefile *files, uint32_t count)
{
	struct fakefile *sorted = alloc_zeroed(count + 1, sizeof(*sorted));
	SCOPED(manifest) struct manifest *m = manifest_new();
	struct err err = { 0 };

	memcpy(sorted, files, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), fakefile_compare);
	*v = (struct fakeversion){ 0 };
	fakedp_add_entries(v, m, sorted, count);
	fakedp_add_chunks(v, m);
	if (!manifest_write(&v->manifest, m, &err) ||
	    !manifest_read(&v->parsed, buf_span(&v->manifest), &err)) {
		fprintf(stderr, "manifest: %s\n", err.why);
		abort();
	}
	fakedp_add_pack(dp, v);
	fakedp_write_index(dp, version);
	free(sorted);
}

static inline bool fakedp_take_delta(struct span bytes, void *ctx, struct err *err UNUSED)
{
	struct fakedp *dp = ctx;

	buf_put_span(&dp->delta.bytes, bytes);
	return true;
}

/* Make the way from `old`, which is version `from`, to `v` (NULL and 0: from nothing), and list it.
 */
static inline void fakedp_add_delta(struct fakedp *dp, const struct fakeversion *v,
				    const struct fakeversion *old, uint32_t from)
{
	struct delta_input in = {
		.old_stream = old != NULL ? buf_span(&old->stream) : span_of(NULL, 0),
		.new_stream = buf_span(&v->stream),
		.memory_max = DELTA_MEMORY_MIN,
	};
	struct delta_file *files = pairing_find(&in.file_count, v->parsed,
						old != NULL ? old->parsed : NULL);
	struct err err = { 0 };

	in.files = files;
	buf_clear(&dp->delta.bytes);
	if (!patchwriter_run(&in, 3, fakedp_take_delta, dp, &err)) {
		fprintf(stderr, "patch: %s\n", err.why);
		abort();
	}
	free(files);
	digest_of(&dp->delta.digest, buf_span(&dp->delta.bytes));
	dp->delta_from = from;
	fakedp_write_index(dp, dp->version);
}

static inline enum transfer_result fakedp_read_object(void *ctx, const char *name, uint64_t cap,
						      struct buf *out, struct err *err)
{
	struct fakedp *dp = ctx;

	dp->calls++;
	if (strncmp(name, "index/", 6) != 0 || strcmp(name + 6, dp->index_name) != 0) {
		err_set(err, ERR_NOT_FOUND, "%s is not there", name);
		return TRANSFER_FAILED;
	}
	if (dp->index.size > cap) {
		err_set(err, ERR_LIMIT, "%s is too large", name);
		return TRANSFER_FAILED;
	}
	buf_put_span(out, buf_span(&dp->index));
	if (dp->fault == FAKEDP_BAD_INDEX)
		out->data[out->size / 2] ^= 1;
	dp->bytes_sent += dp->index.size;
	return TRANSFER_OK;
}

static inline const struct fakepack *fakedp_find_pack(const struct fakedp *dp, const char *name)
{
	const struct index_delta delta = fakedp_delta(dp);
	char own[INDEX_NAME_MAX];

	index_print_delta(own, dp->version, &delta);
	if (dp->delta.bytes.size > 0 && strcmp(name, own) == 0)
		return &dp->delta;
	for (size_t i = 0; i < dp->pack_count; i++) {
		pack_print_name(own, &dp->packs[i].digest);
		if (strncmp(name, "packs/", 6) == 0 && strcmp(name + 6, own) == 0)
			return &dp->packs[i];
	}
	return NULL;
}

/* Hand out one piece with the fault worked in. */
static inline bool fakedp_send(struct fakedp *dp, uint64_t offset, struct span bytes,
			       transfer_sink_fn sink, void *sink_ctx)
{
	SCOPED(buf) struct buf piece = { 0 };

	buf_put_span(&piece, bytes);
	if (dp->fault == FAKEDP_FLIP && dp->fault_at >= offset &&
	    dp->fault_at - offset < bytes.size)
		piece.data[dp->fault_at - offset] ^= 0x10;
	if (dp->on_piece != NULL)
		dp->on_piece(dp->on_piece_ctx);
	dp->bytes_sent += bytes.size;
	return sink(sink_ctx, offset + (dp->fault == FAKEDP_SHIFTED), buf_span(&piece));
}

/* Put the bytes where they are wanted, and send them from there. */
static inline struct span fakedp_place(struct fakedp *dp, uint64_t offset, struct span bytes)
{
	uint8_t *at;
	size_t size;

	if (dp->room == NULL || dp->room->place(&at, &size, offset, dp->room->ctx) != RECVROOM_HERE)
		return bytes;
	bytes.size = MIN_OF(bytes.size, size);
	assert_true(at >= dp->room->memory &&
		    at + bytes.size <= dp->room->memory + dp->room->size_bytes);
	memcpy(at, bytes.data, bytes.size);
	dp->bytes_placed += bytes.size;
	return span_of(at, bytes.size);
}

static inline void fakedp_lend(void *ctx, const struct recvroom *room)
{
	struct fakedp *dp = ctx;

	dp->room = room;
}

/* One range; `sent` counts the bytes of the whole call. */
static inline enum transfer_result fakedp_stream(struct fakedp *dp, const struct fakepack *p,
						 struct transfer_range range, uint64_t *sent,
						 transfer_sink_fn sink, void *sink_ctx,
						 struct err *err)
{
	uint64_t end = range.offset + range.size;
	size_t most = dp->piece != 0 ? dp->piece : (64u << 10);

	if (dp->fault == FAKEDP_TRUNCATED)
		end = MIN_OF(end, dp->fault_at);
	for (uint64_t at = range.offset; at < end;) {
		size_t size = (size_t)MIN_OF((uint64_t)most, end - at);
		struct span bytes;

		if (dp->fault == FAKEDP_CUT) {
			if (*sent >= dp->fault_at) {
				err_set(err, ERR_NET, "cut after %llu bytes",
					(unsigned long long)*sent);
				return TRANSFER_FAILED;
			}
			size = (size_t)MIN_OF((uint64_t)size, dp->fault_at - *sent);
		}
		bytes = fakedp_place(dp, at, span_of(p->bytes.data + at, size));
		if (!fakedp_send(dp, at, bytes, sink, sink_ctx))
			return TRANSFER_STOPPED;
		at += bytes.size;
		*sent += bytes.size;
	}
	return TRANSFER_OK;
}

static inline enum transfer_result fakedp_stream_endless(struct fakedp *dp,
							 const struct fakepack *p,
							 transfer_sink_fn sink, void *sink_ctx)
{
	static const uint8_t zeros[4096];
	struct err err = { 0 };
	uint64_t sent = 0;
	struct transfer_range all = { 0, p->bytes.size };

	if (fakedp_stream(dp, p, all, &sent, sink, sink_ctx, &err) == TRANSFER_STOPPED)
		return TRANSFER_STOPPED;
	for (uint64_t at = p->bytes.size; at < p->bytes.size + (1u << 30); at += sizeof(zeros))
		if (!fakedp_send(dp, at, span_of(zeros, sizeof(zeros)), sink, sink_ctx))
			return TRANSFER_STOPPED;
	return TRANSFER_OK;
}

static inline enum transfer_result fakedp_read_ranges(void *ctx, const char *name,
						      const struct transfer_range *ranges,
						      size_t count, transfer_sink_fn sink,
						      void *sink_ctx, struct err *err)
{
	struct fakedp *dp = ctx;
	const struct fakepack *p = fakedp_find_pack(dp, name);
	enum transfer_result result = TRANSFER_OK;
	uint64_t sent = 0;

	dp->calls++;
	if (p == NULL || dp->fault == FAKEDP_MISSING) {
		err_set(err, ERR_NOT_FOUND, "%s is not there", name);
		return TRANSFER_FAILED;
	}
	if (dp->fault == FAKEDP_WHOLE)
		return fakedp_stream_endless(dp, p, sink, sink_ctx);
	for (size_t n = 0; n < count && result == TRANSFER_OK; n++)
		result = fakedp_stream(dp, p, ranges[n], &sent, sink, sink_ctx, err);
	return result;
}

static inline struct transfer_source fakedp_source(struct fakedp *dp)
{
	return (struct transfer_source){
		.read_object = fakedp_read_object,
		.read_ranges = fakedp_read_ranges,
		.lend = fakedp_lend,
		.ctx = dp,
	};
}

/* Build the version in the folder `dir`: manifest, tree and journal. */
static inline void fakedp_assemble(struct fakedp *dp, const struct fakeversion *v, const char *dir)
{
	const struct assemble_params params = {
		.dir = dir,
		.manifest = buf_span(&v->manifest),
		.index = dp->index_name,
		.gap = PLAN_GAP_DEFAULT,
		.clock = clock_system(),
	};
	struct transfer_source source = fakedp_source(dp);
	SCOPED(assemble) struct assemble *a = NULL;
	struct err err = { 0 };

	assert_done(assemble_open(&a, &params, &err), &err);
	assert_int_equal(assemble_local(a, &err), ASSEMBLE_DONE);
	assert_int_equal(assemble_fetch(a, &source, &err), ASSEMBLE_DONE);
	assert_done(assemble_finish(a, &err), &err);
}

#endif
