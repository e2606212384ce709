/*
 * Where a piece of a file has moved, a block of a disk image for one, the chunks at its ends are
 * new although all of their bytes are here: the first of them stand in the seed behind the chunk
 * before, the others in front of the chunk after. How many is not known; pieces move by whole pages
 * of their file, so those places are tried, and the hash decides.
 *
 * PURE.
 */
#ifndef CONTENT_SEAM_H
#define CONTENT_SEAM_H

#include <stdint.h>

#include "common/digest.h"
#include "common/macros.h"
#include "common/span.h"

#define SEAM_PAGE       4096u
#define SEAM_CHUNKS_MAX 16u /* that are tried of one seed, each some 10 to 130 times */
#define SEAM_FILE_MIN   ((uint64_t)1 << 20) /* in smaller files nothing moves by pages */

enum seam {
	SEAM_NONE,   /* it is not found */
	SEAM_BEHIND, /* all of it stands behind the chunk before */
	SEAM_FRONT,  /* all of it stands in front of the chunk after */
	SEAM_BOTH,
};

/* Bytes of the seed around; a side that is not known is empty. */
struct seam_sides {
	struct span behind; /* what follows the chunk before */
	uint64_t behind_at; /* where that is in its file */
	struct span front;  /* what ends with the beginning of the chunk after */
	uint64_t front_end; /* where that beginning is in its file */
};

/* Put the chunk `id` of `size` bytes together in `dst`, which has no part of the sides. */
enum seam seam_find(uint8_t *dst, uint32_t size, const struct digest *id,
		    const struct seam_sides *sides, struct digest_ctx *hash) MUST_USE;

#endif
