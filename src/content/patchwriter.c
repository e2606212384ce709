#include "content/patchwriter.h"

#include <stdlib.h>
#include <zstd.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "content/patchform.h"

#define PIECE_SIZE      65536u /* of a part, before it goes to the compressor */
#define WIDE_STREAM     (32u << 20)
#define WIDE_TABLES_LOG 24

struct part {
	ZSTD_CCtx *zstd;
	struct buf raw;   /* not compressed yet */
	struct buf block; /* compressed, of the segment that is being made */
};

struct writer {
	struct part parts[PATCHFORM_PART_COUNT_];
	struct span old, new;
	uint64_t at;          /* in the new stream */
	uint64_t segment_end; /* where the segment in the making is full */
	uint64_t segment_begin;
	uint64_t old_at; /* behind the last copy */
	patchwriter_out_fn *out;
	void *ctx;
};

/* --- parts ------------------------------------------------------------------------------------ */

/* Long repeats lie far apart in trees, and only the inserts' window is large enough for them. */
static bool part_open(struct part *part, enum patchform_part which, int level, struct err *err)
{
	part->zstd = ZSTD_createCCtx();
	if (part->zstd == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a compressor");
	ZSTD_CCtx_setParameter(part->zstd, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(part->zstd, ZSTD_c_windowLog, patchform_window_log[which]);
	ZSTD_CCtx_setParameter(part->zstd, ZSTD_c_checksumFlag, 0);
	ZSTD_CCtx_setParameter(part->zstd, ZSTD_c_enableLongDistanceMatching,
			       which == PATCHFORM_INSERTS);
	return true;
}

/* A whole tree has more strings than the level's tables: 0.7 % of some streams for 50 to 80 MB. */
static void part_widen(struct part *part)
{
	ZSTD_CCtx_setParameter(part->zstd, ZSTD_c_hashLog, WIDE_TABLES_LOG);
	ZSTD_CCtx_setParameter(part->zstd, ZSTD_c_chainLog, WIDE_TABLES_LOG);
}

static void part_close(struct part *part)
{
	ZSTD_freeCCtx(part->zstd);
	buf_release(&part->raw);
	buf_release(&part->block);
}

static bool compress(struct part *part, struct span raw, ZSTD_EndDirective how, struct err *err)
{
	ZSTD_inBuffer in = { raw.data, raw.size, 0 };
	size_t left;

	do {
		size_t room = ZSTD_CStreamOutSize();
		ZSTD_outBuffer out = { buf_reserve(&part->block, room), room, 0 };

		left = ZSTD_compressStream2(part->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return err_set(err, ERR_MEMORY, "zstd: %s", ZSTD_getErrorName(left));
		buf_grew(&part->block, out.pos);
	} while (how == ZSTD_e_continue ? in.pos < in.size : left > 0);
	return true;
}

static bool part_push(struct part *part, ZSTD_EndDirective how, struct err *err)
{
	bool done = compress(part, buf_span(&part->raw), how, err);

	buf_clear(&part->raw);
	return done;
}

/* Compress what has gathered once it is worth a call. */
static bool part_spill(struct part *part, struct err *err)
{
	return part->raw.size < PIECE_SIZE || part_push(part, ZSTD_e_continue, err);
}

static bool part_put(struct part *part, struct span bytes, struct err *err)
{
	if (bytes.size >= PIECE_SIZE)
		return part_push(part, ZSTD_e_continue, err) &&
		       compress(part, bytes, ZSTD_e_continue, err);
	buf_put_span(&part->raw, bytes);
	return part_spill(part, err);
}

static void put_number(struct writer *w, enum patchform_part which, uint64_t value)
{
	buf_put_varint(&w->parts[which].raw, value);
}

/* Signed numbers with the sign in the lowest bit, so that small ones are short. */
static uint64_t folded(int64_t value)
{
	return value < 0 ? ((uint64_t)(-(value + 1)) << 1) + 1 : (uint64_t)value << 1;
}

/* --- segments --------------------------------------------------------------------------------- */

static bool write_segment(struct writer *w, ZSTD_EndDirective how, struct err *err)
{
	SCOPED(buf) struct buf head = { 0 };

	if (w->at == w->segment_begin)
		return true;
	buf_put_varint(&head, w->at - w->segment_begin);
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		if (!part_push(&w->parts[i], how, err))
			return false;
		assert(w->parts[i].block.size <= PATCHFORM_BLOCK_MAX);
		buf_put_varint(&head, w->parts[i].block.size);
	}
	if (!w->out(buf_span(&head), w->ctx, err))
		return false;
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		if (w->parts[i].block.size > 0 &&
		    !w->out(buf_span(&w->parts[i].block), w->ctx, err))
			return false;
		buf_clear(&w->parts[i].block);
	}
	w->segment_begin = w->at;
	w->segment_end = MIN_OF(w->new.size, w->at + PATCHFORM_SEGMENT_MAX);
	return true;
}

static uint64_t same_size(const uint8_t *a, const uint8_t *b, uint64_t max)
{
	uint64_t n = 0;

	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* How long a run of changes is that begins here: up to the next few bytes that are the same. */
static uint64_t changed_size(const uint8_t *a, const uint8_t *b, uint64_t max)
{
	uint64_t n = 1;

	for (;;) {
		uint64_t same = same_size(a + n, b + n, MIN_OF(max - n, PATCHFORM_SAME_MIN));

		if (same == PATCHFORM_SAME_MIN || n + same == max)
			return n;
		n += same + 1;
	}
}

static bool put_changes(struct writer *w, const uint8_t *old, const uint8_t *new, uint64_t size,
			struct err *err)
{
	uint8_t bytes[256];

	for (uint64_t done = 0; done < size;) {
		size_t n = (size_t)MIN_OF(size - done, sizeof(bytes));

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(new[done + i] - old[done + i]);
		if (!part_put(&w->parts[PATCHFORM_CHANGES], span_of(bytes, n), err))
			return false;
		done += n;
	}
	return true;
}

static bool put_copy(struct writer *w, uint64_t old_at, uint64_t size, struct err *err)
{
	const uint8_t *old = w->old.data + old_at, *new = w->new.data + w->at;

	for (uint64_t at = 0; at < size;) {
		uint64_t same = same_size(old + at, new + at, size - at);
		uint64_t changed = 0;

		at += same;
		put_number(w, PATCHFORM_RUNS, same);
		if (at < size) {
			changed = changed_size(old + at, new + at, size - at);
			put_number(w, PATCHFORM_RUNS, changed);
			if (!put_changes(w, old + at, new + at, changed, err))
				return false;
			at += changed;
		}
		if (!part_spill(&w->parts[PATCHFORM_RUNS], err))
			return false;
	}
	return true;
}

/* An operation that fits into the segment. */
static bool put_op(struct writer *w, const struct delta_op *op, struct err *err)
{
	put_number(w, PATCHFORM_CONTROL, op->copy_size);
	put_number(w, PATCHFORM_CONTROL, op->insert_size);
	if (op->copy_size > 0) {
		put_number(w, PATCHFORM_CONTROL,
			   folded((int64_t)op->old_offset - (int64_t)w->old_at));
		w->old_at = op->old_offset + op->copy_size;
		if (!put_copy(w, op->old_offset, op->copy_size, err))
			return false;
	}
	w->at += op->copy_size;
	if (op->insert_size > 0 &&
	    !part_put(&w->parts[PATCHFORM_INSERTS],
		      span_of(w->new.data + w->at, (size_t)op->insert_size), err))
		return false;
	w->at += op->insert_size;
	return part_spill(&w->parts[PATCHFORM_CONTROL], err);
}

/* Take from the front of an operation what the segment has room for. */
static struct delta_op take_op(struct delta_op *op, uint64_t room)
{
	struct delta_op first = { .old_offset = op->old_offset };

	first.copy_size = MIN_OF(op->copy_size, room);
	if (first.copy_size == op->copy_size)
		first.insert_size = MIN_OF(op->insert_size, room - first.copy_size);
	op->old_offset += first.copy_size;
	op->copy_size -= first.copy_size;
	op->insert_size -= first.insert_size;
	return first;
}

static bool take_op_in_turn(const struct delta_op *op, void *ctx, struct err *err)
{
	struct writer *w = ctx;
	struct delta_op rest = *op;

	while (rest.copy_size > 0 || rest.insert_size > 0) {
		struct delta_op first;

		if (w->at == w->segment_end && !write_segment(w, ZSTD_e_flush, err))
			return false;
		first = take_op(&rest, w->segment_end - w->at);
		if (!put_op(w, &first, err))
			return false;
	}
	return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool write_head(struct writer *w, struct err *err)
{
	SCOPED(buf) struct buf head = { 0 };

	buf_put(&head, PATCHFORM_MAGIC, PATCHFORM_MAGIC_SIZE);
	buf_put_u8(&head, PATCHFORM_FORMAT);
	buf_put_varint(&head, w->old.size);
	buf_put_varint(&head, w->new.size);
	return w->out(buf_span(&head), w->ctx, err);
}

static bool run(struct writer *w, const struct delta_input *in, int level, struct err *err)
{
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++)
		if (!part_open(&w->parts[i], (enum patchform_part)i, level, err))
			return false;
	if (in->old_stream.size == 0 && in->new_stream.size >= WIDE_STREAM)
		part_widen(&w->parts[PATCHFORM_INSERTS]);
	return write_head(w, err) && delta_make(in, take_op_in_turn, w, err) &&
	       write_segment(w, ZSTD_e_end, err);
}

bool patchwriter_run(const struct delta_input *in, int level, patchwriter_out_fn *out, void *ctx,
		     struct err *err)
{
	struct writer w = {
		.old = in->old_stream,
		.new = in->new_stream,
		.segment_end = MIN_OF(in->new_stream.size, PATCHFORM_SEGMENT_MAX),
		.out = out,
		.ctx = ctx,
	};
	bool done;

	if (w.old.size > PATCHFORM_STREAM_MAX || w.new.size > PATCHFORM_STREAM_MAX)
		return err_set(err, ERR_LIMIT, "streams of %zu and %zu bytes, at most %llu",
			       w.old.size, w.new.size, (unsigned long long)PATCHFORM_STREAM_MAX);
	done = run(&w, in, level, err);
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++)
		part_close(&w.parts[i]);
	return done;
}
