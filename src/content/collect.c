#include "content/collect.h"

#include <string.h>

#include "common/large.h"

#define PLACE_MIN ((size_t)256 << 10) /* less is not worth a read of its own */

void collect_init(struct collect *c, const struct index *index, const uint32_t *frames,
		  uint32_t count, const struct collect_user *user)
{
	*c = (struct collect){
		.index = index,
		.frames = frames,
		.count = count,
		.user = *user,
	};
}

void collect_release(struct collect *c)
{
	for (size_t i = 0; i < COLLECT_AHEAD; i++)
		buf_release(&c->stored[i]);
}

bool collect_is_complete(const struct collect *c)
{
	return c->at == c->count;
}

static const struct index_frame *frame_at(const struct collect *c, uint32_t position)
{
	return index_frame_at(c->index, c->frames[position]);
}

static struct buf *stored_at(struct collect *c, uint32_t position)
{
	return &c->stored[position % COLLECT_AHEAD];
}

static bool take_slot(struct buf *out, const struct collect *c, const struct index_frame *f)
{
	return f->codec == FRAME_STORED && c->user.slot != NULL && c->user.slot(c->user.ctx, out);
}

static void need_memory(struct buf *out, const struct collect *c, const struct index_frame *f)
{
	if (out->data == NULL && take_slot(out, c, f))
		return;
	if (out->data == NULL && c->user.spare != NULL)
		c->user.spare(c->user.ctx, out);
	large_reserve(out, f->stored_size);
}

/* Bytes behind what is there may have come already: nothing is written there but these. */
static void put(struct buf *stored, const uint8_t *bytes, size_t size)
{
	uint8_t *end = stored->data + stored->size;

	if (bytes != end)
		memcpy(end, bytes, size);
	stored->size += size;
}

/* What the user has left serves for the next frame, unless that has memory. */
static void pass_on(struct collect *c, struct buf *left)
{
	struct buf *next = stored_at(c, c->at);

	if (left->data == NULL)
		return;
	assert(!left->is_lent);
	buf_clear(left);
	if (next->data == NULL) {
		*next = *left;
		*left = (struct buf){ 0 };
	}
	buf_release(left);
}

/* Add what belongs to the current frame; hand it over when it is full. */
static bool fill(struct collect *c, const struct index_frame *f, struct span *bytes,
		 uint64_t *offset)
{
	struct buf *stored = stored_at(c, c->at);
	size_t take = MIN_OF(bytes->size, f->stored_size - stored->size);

	need_memory(stored, c, f);
	put(stored, bytes->data, take);
	*bytes = span_skip(*bytes, take);
	*offset += take;
	if (stored->size < f->stored_size)
		return true;
	buf_grew(stored, 0);
	c->at++;
	if (!c->user.frame(c->user.ctx, c->frames[c->at - 1], stored))
		return false;
	pass_on(c, stored);
	return true;
}

enum collect_result collect_feed(struct collect *c, uint64_t offset, struct span bytes)
{
	while (bytes.size > 0) {
		const struct index_frame *f;
		uint64_t wanted;
		size_t got;

		if (collect_is_complete(c))
			return COLLECT_ENOUGH;
		f = frame_at(c, c->at);
		got = stored_at(c, c->at)->size;
		wanted = f->offset + got;
		if (offset > wanted || (offset < wanted && got > 0))
			return COLLECT_DISORDER;
		if (offset < wanted) {
			size_t skip = (size_t)MIN_OF((uint64_t)bytes.size, wanted - offset);

			bytes = span_skip(bytes, skip);
			offset += skip;
			continue;
		}
		if (!fill(c, f, &bytes, &offset))
			return COLLECT_STOPPED;
	}
	return COLLECT_MORE;
}

/* The frame that ends behind `offset`, and whether its memory can be another's to write. */
static bool find_frame(struct collect *c, uint64_t offset)
{
	const struct index_frame *f;

	c->placing = MAX_OF(c->placing, c->at);
	while (c->placing < c->count &&
	       frame_at(c, c->placing)->offset + frame_at(c, c->placing)->stored_size <= offset)
		c->placing++;
	if (c->placing == c->count)
		return false;
	f = frame_at(c, c->placing);
	return f->codec == FRAME_STORED && c->user.slot != NULL && offset >= f->offset &&
	       f->offset + f->stored_size - offset >= PLACE_MIN;
}

enum recvroom_where collect_place(uint8_t **at_out, size_t *size_out, struct collect *c,
				  uint64_t offset)
{
	const struct index_frame *f;
	struct buf *stored;

	if (!find_frame(c, offset))
		return RECVROOM_ELSEWHERE;
	if (c->placing - c->at >= COLLECT_AHEAD)
		return RECVROOM_LATER;
	f = frame_at(c, c->placing);
	stored = stored_at(c, c->placing);
	if (stored->data == NULL && !take_slot(stored, c, f))
		return RECVROOM_LATER;
	if (!stored->is_lent)
		return RECVROOM_ELSEWHERE;
	*at_out = stored->data + (offset - f->offset);
	*size_out = (size_t)(f->offset + f->stored_size - offset);
	return RECVROOM_HERE;
}
