#include "content/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define SLOTS_MIN 64u

/* Millions of true hashes in a half-full table stay well below; ones made up to collide do not. */
#define PROBES_MAX 256u

void idmap_release(struct idmap *map)
{
	free(map->slots);
	*map = (struct idmap){ 0 };
}

/*
 * The slot that holds `id`, or a free one where it would go; NULL where PROBES_MAX others stand in
 * the way. Any part of a hash is as good as a hash of it.
 */
static uint32_t *find_slot(const struct idmap *map, const struct digest *id, idmap_at_fn at,
			   const void *ctx)
{
	uint32_t start;

	memcpy(&start, id->bytes, sizeof(start));
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint32_t *slot = &map->slots[(start + probe) & map->mask];

		if (*slot == 0 || digest_equal(at(*slot - 1, ctx), id))
			return slot;
	}
	return NULL;
}

uint32_t idmap_find(const struct idmap *map, const struct digest *id, idmap_at_fn at,
		    const void *ctx)
{
	const uint32_t *slot = map->slots != NULL ? find_slot(map, id, at, ctx) : NULL;

	return slot != NULL && *slot != 0 ? *slot - 1 : IDMAP_NONE;
}

static bool put(struct idmap *map, uint32_t number, idmap_at_fn at, const void *ctx)
{
	uint32_t *slot = find_slot(map, at(number, ctx), at, ctx);

	if (slot == NULL)
		return false;
	if (*slot == 0) {
		*slot = number + 1;
		map->count++;
	}
	return true;
}

/* Twice the room. */
static bool grow(struct idmap *map, idmap_at_fn at, const void *ctx)
{
	uint32_t size = map->slots != NULL ? (map->mask + 1) * 2 : SLOTS_MIN;
	struct idmap grown = { .slots = alloc_zeroed(size, sizeof(uint32_t)), .mask = size - 1 };
	bool done = true;

	for (uint32_t i = 0; map->slots != NULL && i <= map->mask && done; i++)
		done = map->slots[i] == 0 || put(&grown, map->slots[i] - 1, at, ctx);
	idmap_release(map);
	*map = grown;
	return done;
}

bool idmap_put(struct idmap *map, uint32_t number, idmap_at_fn at, const void *ctx)
{
	if ((map->slots == NULL || map->count * 2 > map->mask) && !grow(map, at, ctx))
		return false;
	return put(map, number, at, ctx);
}
