#include "agent/readahead.h"

#include "common/macros.h"

#define SLACK ((uint64_t)4 << 20) /* the kernel's own read-ahead comes in some disorder */

/* A reader that has been about there, else the one that was not seen for longest, anew. */
static struct readahead_reader *find(struct readahead *r, uint64_t offset)
{
	struct readahead_reader *oldest = &r->readers[0];

	for (struct readahead_reader *it = r->readers; it < r->readers + READAHEAD_READERS; it++) {
		if (it->used != 0 && offset + SLACK >= it->at && offset <= it->at + SLACK)
			return it;
		if (it->used < oldest->used)
			oldest = it;
	}
	*oldest = (struct readahead_reader){ .begin = offset, .at = offset, .end = offset };
	return oldest;
}

static struct readahead_reader *use(struct readahead *r, uint64_t offset)
{
	struct readahead_reader *it = find(r, offset);

	it->used = ++r->uses;
	return it;
}

static void widen(struct readahead_reader *it)
{
	it->window = it->window == 0 ? READAHEAD_MIN
				     : MIN_OF(it->window * 2, (uint64_t)READAHEAD_MAX);
}

static struct readahead_range clip(uint64_t offset, uint64_t size, uint64_t stream)
{
	if (offset >= stream)
		return (struct readahead_range){ 0 };
	return (struct readahead_range){ offset, MIN_OF(size, stream - offset) };
}

struct readahead_range readahead_missed(struct readahead *r, uint64_t offset, uint64_t size,
					uint64_t stream)
{
	struct readahead_reader *it = use(r, offset);

	widen(it);
	it->at = MAX_OF(it->at, offset);
	it->end = MAX_OF(it->end, offset + MAX_OF(size, it->window));
	return clip(offset, MAX_OF(size, it->window), stream);
}

struct readahead_range readahead_passed(struct readahead *r, uint64_t offset, uint64_t size,
					uint64_t stream)
{
	struct readahead_reader *it = use(r, offset);
	uint64_t from;

	it->at = MAX_OF(it->at, offset + size);
	if (it->at - it->begin < READAHEAD_MIN / 2 || it->at + it->window / 2 < it->end)
		return (struct readahead_range){ 0 };
	widen(it);
	from = MAX_OF(it->end, it->at);
	it->end = from + it->window;
	return clip(from, it->window, stream);
}
