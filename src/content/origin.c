#include "content/origin.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/large.h"

/* Each block of the stream has one place, which its number gives. */
#define BLOCK_SIZE  4096u
#define BLOCK_COUNT (ORIGIN_MEMORY / BLOCK_SIZE)

#define MAP_FROM                                                                        \
	((uint64_t)256 << 10) /* bytes of a file: a smaller one is read in a few blocks \
			       */
#define MAP_COUNT 32u

#define CACHE_LINE 64u
#define EXPECT_MAX 256u /* bytes: behind them the processor sees by itself what comes */

/* A file of the stream that is mapped; `end` is 0 where none is. */
struct map {
	uint64_t begin, end; /* in the stream */
	struct mapped file;
};

struct origin {
	struct tree_files files;
	struct map maps[MAP_COUNT];
	const struct map *last;                /* the one that was copied from, or any */
	unsigned next_map;                     /* to be replaced */
	uint64_t unmapped_begin, unmapped_end; /* the last file that was not mapped */
	uint64_t held[BLOCK_COUNT]; /* the number + 1 of the block in each place; 0: none */
	uint8_t *blocks;
};

static uint64_t stream_size(const struct tree *tree)
{
	return tree != NULL ? manifest_stream_size(tree->manifest) : 0;
}

struct origin *origin_new(const struct tree *tree)
{
	struct origin *o = alloc_zeroed(1, sizeof(*o));

	tree_files_init(&o->files, tree);
	/* Of a small version only a few are ever touched. */
	o->blocks = stream_size(tree) >= ORIGIN_MEMORY ? large_alloc(ORIGIN_MEMORY)
						       : alloc_resize(NULL, ORIGIN_MEMORY);
	o->last = o->maps;
	return o;
}

void origin_free(struct origin *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < MAP_COUNT; i++)
		mapped_close(&o->maps[i].file);
	tree_files_release(&o->files);
	free(o->blocks);
	free(o);
}

/* --- mapped files ----------------------------------------------------------------------------- */

static bool holds(const struct map *map, uint64_t offset, size_t size)
{
	return offset >= map->begin && offset < map->end && size <= map->end - offset;
}

static struct map *find_map(struct origin *o, uint64_t offset)
{
	for (size_t i = 0; i < MAP_COUNT; i++)
		if (holds(&o->maps[i], offset, 1))
			return &o->maps[i];
	return NULL;
}

/* Map a file that is not yet; NULL if it cannot be, or is not worth it. */
static struct map *add_map(struct origin *o, uint32_t entry, uint64_t begin, uint64_t size)
{
	struct map *map = &o->maps[o->next_map];
	struct mapped file;

	if (size < MAP_FROM || !tree_map_file(&file, &o->files, entry)) {
		o->unmapped_begin = begin;
		o->unmapped_end = begin + size;
		return NULL;
	}
	mapped_close(&map->file);
	*map = (struct map){ .begin = begin, .end = begin + size, .file = file };
	o->next_map = (o->next_map + 1) % MAP_COUNT;
	return map;
}

/* The map of the file that holds `offset`; NULL: read it otherwise. */
static struct map *map_at(struct origin *o, uint64_t offset)
{
	const struct manifest *m = o->files.tree->manifest;
	struct map *map = find_map(o, offset);
	struct manifest_piece_iter it;
	struct manifest_piece piece;

	if (map != NULL || (offset >= o->unmapped_begin && offset < o->unmapped_end))
		return map;
	it = manifest_pieces(m, offset, 1);
	if (!manifest_piece_next(&it, &piece))
		return NULL;
	return add_map(o, piece.entry, offset - piece.file_offset,
		       manifest_entry_at(m, piece.entry)->size);
}

/* The map that holds all of a range; NULL: read it otherwise. */
static const struct map *map_for(struct origin *o, uint64_t offset, size_t size)
{
	const struct map *map = holds(o->last, offset, size) ? o->last : map_at(o, offset);

	if (map == NULL || !holds(map, offset, size))
		return NULL;
	o->last = map;
	return map;
}

/* Most copies wait for memory longer than for anything else. */
void origin_expect(const struct origin *o, uint64_t offset, uint64_t size)
{
	uint64_t most = MIN_OF(size, (uint64_t)EXPECT_MAX);

	const uint8_t *at;

	if (most == 0 || !holds(o->last, offset, (size_t)most))
		return;
	at = o->last->file.at + (offset - o->last->begin);
	for (uint64_t n = 0; n < most; n += CACHE_LINE)
		__builtin_prefetch(at + n);
	__builtin_prefetch(at + most - 1);
}

static bool copy_from_map(void *dst, const struct map *map, uint64_t offset, size_t size)
{
	memcpy(dst, map->file.at + (offset - map->begin), size);
	return mapped_is_whole(&map->file);
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* The block of the stream that holds `offset`; NULL if it cannot be read. */
static const uint8_t *block_at(struct origin *o, uint64_t offset)
{
	uint64_t number = offset / BLOCK_SIZE;
	uint64_t left = stream_size(o->files.tree) - number * BLOCK_SIZE;
	uint8_t *block = o->blocks + number % BLOCK_COUNT * BLOCK_SIZE;
	uint64_t *held = &o->held[number % BLOCK_COUNT];

	if (*held == number + 1)
		return block;
	*held = 0;
	if (!tree_read(block, &o->files, number * BLOCK_SIZE,
		       (uint32_t)MIN_OF(left, (uint64_t)BLOCK_SIZE)))
		return NULL;
	*held = number + 1;
	return block;
}

static bool copy_from_blocks(uint8_t *dst, struct origin *o, uint64_t offset, size_t size)
{
	while (size > 0) {
		size_t skip = (size_t)(offset % BLOCK_SIZE);
		size_t n = MIN_OF(size, BLOCK_SIZE - skip);
		const uint8_t *block = block_at(o, offset);

		if (block == NULL)
			return false;
		memcpy(dst, block + skip, n);
		dst += n;
		offset += n;
		size -= n;
	}
	return true;
}

/* Where a block cannot be read, the bytes of it that are asked for may be there all the same. */
bool origin_copy(void *dst, struct origin *o, uint64_t offset, size_t size)
{
	const struct map *map = map_for(o, offset, size);

	if (map != NULL)
		return copy_from_map(dst, map, offset, size);
	return (size < BLOCK_SIZE && copy_from_blocks(dst, o, offset, size)) ||
	       tree_read(dst, &o->files, offset, (uint32_t)size);
}
