#include "content/seam.h"

#include <string.h>

/* The first `count` bytes of a chunk of `size` from behind, the others from the front. */
static bool is_place(uint32_t count, uint32_t size, const struct seam_sides *s)
{
	uint32_t others = size - count;

	if (count > s->behind.size || others > s->front.size)
		return false;
	return count == 0 || others == 0 || (s->behind_at + count) % SEAM_PAGE == 0 ||
	       (s->front_end - others) % SEAM_PAGE == 0;
}

static bool is_it(uint32_t count, uint32_t size, const struct digest *id,
		  const struct seam_sides *s, struct digest_ctx *hash)
{
	struct digest found;

	digest_update(hash, span_of(s->behind.data, count));
	digest_update(hash, span_skip(s->front, s->front.size - (size - count)));
	digest_finish(hash, &found);
	return digest_equal(&found, id);
}

static enum seam put_together(uint8_t *dst, uint32_t count, uint32_t size,
			      const struct seam_sides *s)
{
	if (count > 0)
		memcpy(dst, s->behind.data, count);
	if (count < size)
		memcpy(dst + count, s->front.data + (s->front.size - (size - count)), size - count);
	return count == 0 ? SEAM_FRONT : count == size ? SEAM_BEHIND : SEAM_BOTH;
}

enum seam seam_find(uint8_t *dst, uint32_t size, const struct digest *id,
		    const struct seam_sides *sides, struct digest_ctx *hash)
{
	for (uint32_t count = 0; count <= size; count++)
		if (is_place(count, size, sides) && is_it(count, size, id, sides, hash))
			return put_together(dst, count, size, sides);
	return SEAM_NONE;
}
