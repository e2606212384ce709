#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define BLOCK_SIZE ((size_t)256 << 10)

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	char bytes[];
};

void arena_release(struct arena *a)
{
	while (a->blocks != NULL) {
		struct arena_block *gone = a->blocks;

		a->blocks = gone->next;
		free(gone);
	}
	*a = (struct arena){ 0 };
}

static struct arena_block *new_block(size_t size)
{
	struct arena_block *block = alloc_resize(NULL, sizeof(*block) + size);

	*block = (struct arena_block){ .size = size };
	return block;
}

char *arena_room(struct arena *a, size_t size)
{
	struct arena_block *block = a->blocks;
	char *room;

	if (block == NULL || block->size - block->used < size) {
		block = new_block(MAX_OF(size, BLOCK_SIZE));
		block->next = a->blocks;
		a->blocks = block;
	}
	room = block->bytes + block->used;
	block->used += size;
	a->used += size;
	return room;
}

const char *arena_text(struct arena *a, struct span text)
{
	char *copy = arena_room(a, text.size + 1);

	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return copy;
}
