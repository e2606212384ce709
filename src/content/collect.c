#include "content/collect.h"

#include "common/large.h"

void collect_init(struct collect *c, const struct index *index, const uint32_t *frames,
		  uint32_t count, collect_fn fn, void *ctx)
{
	*c = (struct collect){
		.index = index,
		.frames = frames,
		.count = count,
		.fn = fn,
		.ctx = ctx,
	};
}

void collect_release(struct collect *c)
{
	buf_release(&c->stored);
}

bool collect_is_complete(const struct collect *c)
{
	return c->at == c->count;
}

/* Add what belongs to the current frame; hand it over when it is full. */
static bool fill(struct collect *c, const struct index_frame *f, struct span *bytes,
		 uint64_t *offset)
{
	size_t take = MIN_OF(bytes->size, f->stored_size - c->stored.size);

	if (c->stored.size == 0)
		large_reserve(&c->stored, f->stored_size);
	buf_put(&c->stored, bytes->data, take);
	*bytes = span_skip(*bytes, take);
	*offset += take;
	if (c->stored.size < f->stored_size)
		return true;
	c->at++;
	if (!c->fn(c->ctx, c->frames[c->at - 1], &c->stored))
		return false;
	buf_clear(&c->stored);
	return true;
}

enum collect_result collect_feed(struct collect *c, uint64_t offset, struct span bytes)
{
	while (bytes.size > 0) {
		const struct index_frame *f;
		uint64_t wanted;

		if (collect_is_complete(c))
			return COLLECT_ENOUGH;
		f = index_frame_at(c->index, c->frames[c->at]);
		wanted = f->offset + c->stored.size;
		if (offset > wanted || (offset < wanted && c->stored.size > 0))
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
