/*
 * The chunks of a manifest by their ids. A chunk that occurs several times in the stream is known
 * by the number of its first occurrence; the others hang behind it.
 *
 * PURE.
 */
#ifndef CONTENT_CHUNKMAP_H
#define CONTENT_CHUNKMAP_H

#include <stdint.h>

#include "common/digest.h"
#include "common/macros.h"
#include "content/manifest.h"

#define CHUNKMAP_NONE UINT32_MAX

struct chunkmap {
	const struct manifest *manifest;
	uint32_t *table; /* open addressing: chunk number or CHUNKMAP_NONE */
	uint32_t table_mask;
	uint32_t *first; /* for each chunk: the first one with its id */
	uint32_t *next;  /* for each chunk: the next one with its id, or CHUNKMAP_NONE */
	uint32_t unique; /* different ids */
};

/* `manifest` is borrowed until the release. */
void chunkmap_init(struct chunkmap *map, const struct manifest *manifest);
void chunkmap_release(struct chunkmap *map);
SCOPED_RELEASE(chunkmap);

/* The first chunk with that id, or CHUNKMAP_NONE. */
uint32_t chunkmap_find(const struct chunkmap *map, const struct digest *id);

#endif
