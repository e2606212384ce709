/*
 * Where a stream of bytes is cut into chunks: content-defined cut points of the FastCDC family
 * (Xia et al. 2016), so that an insertion moves the cut points around it and no others.
 *
 * No buffer and no I/O: bytes go in as spans of any size, cut points come out. The cut points
 * depend on the bytes since the last cut alone, not on how the stream was divided into spans.
 *
 *     chunker_init → (chunker_next | chunker_restart)*
 *
 * PURE.
 */
#ifndef CONTENT_CHUNKER_H
#define CONTENT_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/span.h"

#define CHUNKER_MIN     (16u << 10) /* no cut before this, but at the end of the stream */
#define CHUNKER_AVERAGE (64u << 10)
#define CHUNKER_MAX     (256u << 10) /* a cut here at the latest */

struct chunker {
	uint64_t gear[256]; /* fixed numbers; part of the format in the sense that changing them
			       undoes sharing */
	uint64_t hash;
	uint32_t size; /* bytes since the last cut */
};

void chunker_init(struct chunker *c);

/*
 * Look for the next cut point. Returns n > 0: the chunk ends behind the first n of `bytes`, the
 * rest was not looked at and is to be offered again. Returns 0: all of `bytes` belongs to the
 * unfinished chunk.
 */
size_t chunker_next(struct chunker *c, struct span bytes) MUST_USE;

/* Cut here: the next byte begins a chunk. */
void chunker_restart(struct chunker *c);

#endif
