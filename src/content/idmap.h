/*
 * Numbers by digest: an open hash table over an array that its owner keeps. The map holds numbers
 * only; `at` tells the digest of a number.
 *
 * { 0 } is a valid empty map. PURE.
 */
#ifndef CONTENT_IDMAP_H
#define CONTENT_IDMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/macros.h"

#define IDMAP_NONE UINT32_MAX

/* Returns the digest of item `number`, borrowed for the call. */
typedef const struct digest *(*idmap_at_fn)(uint32_t number, const void *ctx);

struct idmap {
	uint32_t *slots; /* numbers + 1; 0 is free */
	uint32_t mask, count;
};

void idmap_release(struct idmap *map);

/* The number that was put under `id` first, or IDMAP_NONE. */
uint32_t idmap_find(const struct idmap *map, const struct digest *id, idmap_at_fn at,
		    const void *ctx) MUST_USE;

/*
 * Put item `number`, which `at` knows already. Nothing happens where an item with its digest is
 * there. False where so many digests collide that they were made to.
 */
bool idmap_put(struct idmap *map, uint32_t number, idmap_at_fn at, const void *ctx);

#endif
