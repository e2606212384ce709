#include "content/chunkmap.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

/* Ids are hashes already: any of their bytes are as good as a hash of them. */
static uint32_t slot_of(const struct chunkmap *map, const struct digest *id)
{
	uint32_t bits;

	memcpy(&bits, id->bytes, sizeof(bits));
	return bits & map->table_mask;
}

/* The table's place for `id`: where it stands, or the empty place where it would. */
static uint32_t *place_of(const struct chunkmap *map, const struct digest *id)
{
	uint32_t slot = slot_of(map, id);

	/* Ends, since the table is at most half full. */
	while (map->table[slot] != CHUNKMAP_NONE &&
	       !digest_equal(&manifest_chunk_at(map->manifest, map->table[slot])->id, id))
		slot = (slot + 1) & map->table_mask;
	return &map->table[slot];
}

static uint32_t table_size_for(uint32_t count)
{
	uint32_t size = 16;

	while (size < 2 * count)
		size *= 2;
	return size;
}

void chunkmap_init(struct chunkmap *map, const struct manifest *manifest)
{
	uint32_t count = manifest_chunk_count(manifest);
	uint32_t size = table_size_for(count);

	*map = (struct chunkmap){
		.manifest = manifest,
		.table = alloc_zeroed(size, sizeof(*map->table)),
		.table_mask = size - 1,
		.first = alloc_zeroed(MAX_OF(count, 1), sizeof(*map->first)),
		.next = alloc_zeroed(MAX_OF(count, 1), sizeof(*map->next)),
	};
	memset(map->table, 0xff, size * sizeof(*map->table));
	/* From the end, so that each new one goes in front of those behind it in the stream. */
	for (uint32_t n = count; n-- > 0;) {
		uint32_t *place = place_of(map, &manifest_chunk_at(manifest, n)->id);

		map->unique += *place == CHUNKMAP_NONE;
		map->next[n] = *place;
		*place = n;
	}
	for (uint32_t n = 0; n < count; n++)
		map->first[n] = chunkmap_find(map, &manifest_chunk_at(manifest, n)->id);
}

void chunkmap_release(struct chunkmap *map)
{
	free(map->table);
	free(map->first);
	free(map->next);
	*map = (struct chunkmap){ 0 };
}

uint32_t chunkmap_find(const struct chunkmap *map, const struct digest *id)
{
	return *place_of(map, id);
}
