/*
 * Many small texts with one end of life: what a parsed document points to. Nothing is freed
 * singly; arena_release frees all. { 0 } is a valid empty arena.
 *
 * PURE.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

#include "common/macros.h"
#include "common/span.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;                /* bytes handed out, terminators included */
};

void arena_release(struct arena *a);
SCOPED_RELEASE(arena);

/*
 * Room for `size` bytes, not aligned for anything but text; it stays where it is until the release.
 * Out of memory stops the program: the caller bounds `used`.
 */
char *arena_room(struct arena *a, size_t size) MUST_USE;

/* A NUL-terminated copy. */
const char *arena_text(struct arena *a, struct span text) MUST_USE;

#endif
