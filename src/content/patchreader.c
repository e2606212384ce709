#include "content/patchreader.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/large.h"
#include "content/patchform.h"
#include "content/patchparts.h"

#define HEAD_MAX         (PATCHFORM_MAGIC_SIZE + 1 + 2 * 10) /* bytes of the file's head */
#define SEGMENT_HEAD_MAX ((1 + PATCHFORM_PART_COUNT_) * 10)
#define OPS_AT_ONCE      16          /* operations that are looked at before the first is done */
#define PIECE_SIZE       (64u << 10) /* new bytes that are delivered at once */

/* What is there of a part and not used yet; its bytes are the decoder's. */
struct part {
	const uint8_t *at, *end;
};

/* How far the file was read. */
enum state {
	STATE_HEAD,
	STATE_SEGMENT, /* its sizes come next */
	STATE_BLOCKS,
	STATE_DONE,
};

struct patchreader {
	struct patchreader_target target;
	enum state state;
	struct buf waiting; /* of the file: the piece that is not complete yet */
	struct patchparts *decoder;
	struct part parts[PATCHFORM_PART_COUNT_];
	uint64_t segment_size; /* new bytes */
	size_t block_sizes[PATCHFORM_PART_COUNT_];
	size_t blocks_size;
	uint64_t old_at; /* behind the last copy */
	uint64_t delivered;
	uint8_t *piece;
	size_t piece_size; /* made, not delivered */
};

struct patchreader *patchreader_new(const struct patchreader_target *target)
{
	struct patchreader *r = alloc_zeroed(1, sizeof(*r));

	r->target = *target;
	r->piece = alloc_resize(NULL, PIECE_SIZE);
	r->decoder = patchparts_new();
	return r;
}

void patchreader_free(struct patchreader *r)
{
	if (r == NULL)
		return;
	patchparts_free(r->decoder); /* it may be at work on what waits */
	buf_release(&r->waiting);
	free(r->piece);
	free(r);
}

/* --- parts ------------------------------------------------------------------------------------ */

static size_t left_of(const struct part *part)
{
	return (size_t)(part->end - part->at);
}

/* More of a part of which nothing is left. */
static bool refill(struct patchreader *r, enum patchform_part which, struct err *err)
{
	struct part *part = &r->parts[which];
	struct span more;

	if (!patchparts_next(&more, r->decoder, which, err))
		return false;
	part->at = more.data;
	part->end = more.data + more.size;
	return true;
}

static bool is_too_large(enum patchform_part which, struct err *err)
{
	return err_set(err, ERR_FORMAT, "patch: a number of the %s is too large",
		       patchform_part_names[which]);
}

/* A number that may go on in the next piece of its part. */
static bool take_number_slowly(uint64_t *out, struct patchreader *r, enum patchform_part which,
			       struct err *err)
{
	struct part *part = &r->parts[which];
	uint8_t byte;

	*out = 0;
	for (unsigned shift = 0; shift < 63; shift += 7) {
		if (left_of(part) == 0 && !refill(r, which, err))
			return false;
		byte = *part->at++;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return true;
	}
	return is_too_large(which, err);
}

/* An unsigned LEB128 number of at most `max`. */
static inline bool take_number(uint64_t *out, struct patchreader *r, enum patchform_part which,
			       uint64_t max, struct err *err)
{
	struct part *part = &r->parts[which];

	/* Nearly all of them have one byte or two. */
	if (left_of(part) >= 2 && part->at[0] < 0x80)
		*out = *part->at++;
	else if (left_of(part) >= 2 && part->at[1] < 0x80) {
		*out = (uint64_t)(part->at[0] & 0x7f) | (uint64_t)part->at[1] << 7;
		part->at += 2;
	} else if (!take_number_slowly(out, r, which, err))
		return false;
	return *out <= max || is_too_large(which, err);
}

/* --- operations ------------------------------------------------------------------------------- */

static bool deliver(struct patchreader *r, struct err *err)
{
	size_t size = r->piece_size;

	r->delivered += size;
	r->piece_size = 0;
	return size == 0 || r->target.sink(span_of(r->piece, size), r->target.ctx, err);
}

/* Where the next bytes are made: room for *size of them, at least one and at most `max`. */
static bool make_room(uint8_t **at, size_t *size, struct patchreader *r, uint64_t max,
		      struct err *err)
{
	if (r->piece_size == PIECE_SIZE && !deliver(r, err))
		return false;
	*at = r->piece + r->piece_size;
	*size = (size_t)MIN_OF(max, (uint64_t)(PIECE_SIZE - r->piece_size));
	return true;
}

/* The run that a copy is in: unchanged bytes, then changed ones. */
struct run {
	uint64_t same, changed;
};

static bool take_run(struct run *run, struct patchreader *r, uint64_t left, struct err *err)
{
	if (!take_number(&run->same, r, PATCHFORM_RUNS, left, err))
		return false;
	run->changed = 0;
	if (run->same == left)
		return true;
	if (!take_number(&run->changed, r, PATCHFORM_RUNS, left - run->same, err))
		return false;
	return run->changed > 0 || err_set(err, ERR_FORMAT, "patch: a run of no changes");
}

static bool change(struct patchreader *r, uint8_t *bytes, size_t size, struct err *err)
{
	struct part *part = &r->parts[PATCHFORM_CHANGES];

	for (size_t done = 0; done < size;) {
		size_t n;

		if (left_of(part) == 0 && !refill(r, PATCHFORM_CHANGES, err))
			return false;
		n = MIN_OF(size - done, left_of(part));
		for (size_t i = 0; i < n; i++)
			bytes[done + i] = (uint8_t)(bytes[done + i] + part->at[i]);
		part->at += n;
		done += n;
	}
	return true;
}

/* Apply the runs to one piece of a copy; `left` is what the copy has from its beginning on. */
static bool change_piece(struct patchreader *r, struct run *run, uint8_t *bytes, size_t size,
			 uint64_t left, struct err *err)
{
	for (size_t at = 0; at < size;) {
		size_t n;

		if (run->same == 0 && run->changed == 0 && !take_run(run, r, left - at, err))
			return false;
		n = (size_t)MIN_OF(run->same, size - at);
		run->same -= n;
		at += n;
		if (run->same > 0 || at == size)
			continue;
		n = (size_t)MIN_OF(run->changed, size - at);
		if (!change(r, bytes + at, n, err))
			return false;
		run->changed -= n;
		at += n;
	}
	return true;
}

static bool copy(struct patchreader *r, uint64_t old_at, uint64_t size, struct err *err)
{
	struct run run = { 0 };

	while (size > 0) {
		uint8_t *to;
		size_t n;

		if (!make_room(&to, &n, r, size, err) ||
		    !r->target.old(to, old_at, n, r->target.ctx, err) ||
		    !change_piece(r, &run, to, n, size, err))
			return false;
		r->piece_size += n;
		old_at += n;
		size -= n;
	}
	return true;
}

static bool insert(struct patchreader *r, uint64_t size, struct err *err)
{
	struct part *part = &r->parts[PATCHFORM_INSERTS];

	while (size > 0) {
		uint8_t *to;
		size_t n;

		if (left_of(part) == 0 && !refill(r, PATCHFORM_INSERTS, err))
			return false;
		if (!make_room(&to, &n, r, MIN_OF(size, (uint64_t)left_of(part)), err))
			return false;
		memcpy(to, part->at, n);
		part->at += n;
		r->piece_size += n;
		size -= n;
	}
	return true;
}

static int64_t unfolded(uint64_t value)
{
	return (value & 1) != 0 ? -(int64_t)(value >> 1) - 1 : (int64_t)(value >> 1);
}

static bool take_place(uint64_t *place_out, struct patchreader *r, uint64_t size, struct err *err)
{
	uint64_t seek;
	int64_t place;

	if (!take_number(&seek, r, PATCHFORM_CONTROL, PATCHFORM_STREAM_MAX * 2, err))
		return false;
	place = (int64_t)r->old_at + unfolded(seek);
	if (place < 0 || (uint64_t)place > r->target.old_size ||
	    size > r->target.old_size - (uint64_t)place)
		return err_set(err, ERR_FORMAT, "patch: a copy from outside the old stream");
	*place_out = (uint64_t)place;
	r->old_at = (uint64_t)place + size;
	return true;
}

/* `copied` new bytes made from as many old ones, then `inserted` that come from nowhere. */
struct op {
	uint64_t old_at, copied, inserted;
};

/* The next operation, of at most `max` new bytes. */
static bool take_op(struct op *op, struct patchreader *r, uint64_t max, struct err *err)
{
	*op = (struct op){ 0 };
	if (!take_number(&op->copied, r, PATCHFORM_CONTROL, max, err) ||
	    !take_number(&op->inserted, r, PATCHFORM_CONTROL, max - op->copied, err))
		return false;
	if (op->copied == 0 && op->inserted == 0)
		return err_set(err, ERR_FORMAT, "patch: an operation that does nothing");
	return op->copied == 0 || take_place(&op->old_at, r, op->copied, err);
}

/* The next few operations of a segment, of which `*left` new bytes are not described yet. */
static bool take_ops(struct op *ops, size_t *count, uint64_t *left, struct patchreader *r,
		     struct err *err)
{
	for (*count = 0; *left > 0 && *count < OPS_AT_ONCE; ++*count) {
		struct op *op = &ops[*count];

		if (!take_op(op, r, *left, err))
			return false;
		*left -= op->copied + op->inserted;
		if (op->copied > 0 && r->target.soon != NULL)
			r->target.soon(op->old_at, op->copied, r->target.ctx);
	}
	return true;
}

static bool apply_ops(struct patchreader *r, uint64_t left, struct err *err)
{
	struct op ops[OPS_AT_ONCE];
	size_t count;

	while (left > 0) {
		if (!take_ops(ops, &count, &left, r, err))
			return false;
		for (size_t i = 0; i < count; i++)
			if (!copy(r, ops[i].old_at, ops[i].copied, err) ||
			    !insert(r, ops[i].inserted, err))
				return false;
	}
	return true;
}

/* --- segments --------------------------------------------------------------------------------- */

static bool is_used_up(const struct patchreader *r, struct err *err)
{
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++)
		if (left_of(&r->parts[i]) > 0)
			return err_set(err, ERR_FORMAT,
				       "patch: the %s: more than their segment needs",
				       patchform_part_names[i]);
	return true;
}

static bool apply_segment(struct patchreader *r, struct span blocks, struct err *err)
{
	struct span each[PATCHFORM_PART_COUNT_];

	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		each[i] = span_of(blocks.data, r->block_sizes[i]);
		blocks = span_skip(blocks, r->block_sizes[i]);
		r->parts[i] = (struct part){ 0 };
	}
	patchparts_begin(r->decoder, each);
	return apply_ops(r, r->segment_size, err) && is_used_up(r, err) &&
	       patchparts_end(r->decoder, err) && deliver(r, err);
}

/* --- the file --------------------------------------------------------------------------------- */

static bool is_finished(const struct patchreader *r)
{
	return r->delivered == r->target.new_size;
}

/* For the parsers: false without a fault says that more bytes are needed. */
static bool parse_head(struct span *bytes, struct patchreader *r, struct err *err)
{
	struct span magic;
	uint64_t old_size, new_size;
	uint8_t format;

	if (!span_take(bytes, &magic, PATCHFORM_MAGIC_SIZE) || !span_take_u8(bytes, &format) ||
	    !span_take_varint(bytes, &old_size, PATCHFORM_STREAM_MAX) ||
	    !span_take_varint(bytes, &new_size, PATCHFORM_STREAM_MAX))
		return err_set(err, ERR_FORMAT, "patch: no head");
	if (!span_equal(magic, span_of(PATCHFORM_MAGIC, PATCHFORM_MAGIC_SIZE)) ||
	    format != PATCHFORM_FORMAT)
		return err_set(err, ERR_FORMAT, "no patch of format %d", PATCHFORM_FORMAT);
	if (old_size != r->target.old_size || new_size != r->target.new_size)
		return err_set(err, ERR_FORMAT,
			       "patch: from %llu to %llu bytes, wanted from %llu to %llu",
			       (unsigned long long)old_size, (unsigned long long)new_size,
			       (unsigned long long)r->target.old_size,
			       (unsigned long long)r->target.new_size);
	return true;
}

static bool parse_segment_head(struct span *bytes, struct patchreader *r, struct err *err)
{
	uint64_t left = r->target.new_size - r->delivered;

	if (!span_take_varint(bytes, &r->segment_size, MIN_OF(left, PATCHFORM_SEGMENT_MAX)) ||
	    r->segment_size == 0)
		return err_set(err, ERR_FORMAT, "patch: no segment of its stream");
	r->blocks_size = 0;
	for (size_t i = 0; i < PATCHFORM_PART_COUNT_; i++) {
		uint64_t size;

		if (!span_take_varint(bytes, &size, PATCHFORM_BLOCK_MAX))
			return err_set(err, ERR_FORMAT, "patch: no size of a block");
		r->block_sizes[i] = (size_t)size;
		r->blocks_size += (size_t)size;
	}
	return true;
}

/* True if `bytes` hold `count` whole numbers, so that a parser does not fail for lack of them. */
static bool has_numbers(struct span bytes, size_t skip, size_t count)
{
	for (size_t i = skip; i < bytes.size && count > 0; i++)
		count -= (bytes.data[i] & 0x80) == 0;
	return count == 0;
}

/* Take the next thing of the file out of `bytes` if it is there whole; false: it is not yet. */
static bool is_whole(const struct patchreader *r, struct span bytes)
{
	switch (r->state) {
	case STATE_HEAD:
		return bytes.size >= HEAD_MAX || has_numbers(bytes, PATCHFORM_MAGIC_SIZE + 1, 2);
	case STATE_SEGMENT:
		return bytes.size >= SEGMENT_HEAD_MAX ||
		       has_numbers(bytes, 0, 1 + PATCHFORM_PART_COUNT_);
	case STATE_BLOCKS:
		return bytes.size >= r->blocks_size;
	case STATE_DONE:
	default:
		return bytes.size > 0;
	}
}

static bool take_next(struct span *bytes, struct patchreader *r, struct err *err)
{
	struct span blocks;

	switch (r->state) {
	case STATE_HEAD:
		if (!parse_head(bytes, r, err))
			return false;
		r->state = is_finished(r) ? STATE_DONE : STATE_SEGMENT;
		return true;
	case STATE_SEGMENT:
		r->state = STATE_BLOCKS;
		return parse_segment_head(bytes, r, err);
	case STATE_BLOCKS:
		if (!span_take(bytes, &blocks, r->blocks_size) || !apply_segment(r, blocks, err))
			return false;
		r->state = is_finished(r) ? STATE_DONE : STATE_SEGMENT;
		return true;
	case STATE_DONE:
	default:
		return err_set(err, ERR_FORMAT, "patch: something follows its end");
	}
}

bool patchreader_feed(struct patchreader *r, struct span bytes, struct err *err)
{
	struct span rest;

	if (r->state == STATE_BLOCKS)
		large_reserve(&r->waiting, MAX_OF(r->blocks_size, r->waiting.size) + bytes.size);
	buf_put_span(&r->waiting, bytes);
	rest = buf_span(&r->waiting);
	while (is_whole(r, rest))
		if (!take_next(&rest, r, err))
			return false;
	/* What is left moves to the front: the waiting bytes are never more than a segment's. */
	if (rest.data != r->waiting.data) {
		memmove(r->waiting.data, rest.data, rest.size);
		r->waiting.size = rest.size;
	}
	return true;
}

bool patchreader_finish(const struct patchreader *r, struct err *err)
{
	return (r->state == STATE_DONE && r->waiting.size == 0) ||
	       err_set(err, ERR_FORMAT, "patch: it ends %llu bytes before the stream does",
		       (unsigned long long)(r->target.new_size - r->delivered));
}

uint64_t patchreader_made(const struct patchreader *r)
{
	return r->delivered + r->piece_size;
}
