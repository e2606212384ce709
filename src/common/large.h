/*
 * Memory in large pages, where the kernel has some: each small page of fresh memory costs a fault,
 * which for buffers of megabytes is more than what is then done to them. For those that are written
 * from end to end; others would hold more memory than they use.
 */
#ifndef COMMON_LARGE_H
#define COMMON_LARGE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/macros.h"

#define LARGE_FROM ((size_t)1 << 20) /* less than that is not worth it */

/* `size` bytes, not set; the caller frees them with free(). Never NULL, as of alloc.h. */
void *large_alloc(size_t size) MUST_USE;

/*
 * Get the pages of memory that will all be written, by one call in the place of a fault for each,
 * which halves what they cost.
 */
void large_populate(void *memory, size_t size);

/* Make room in `b` for `size` bytes in all, without growing in steps, each of which would copy. */
void large_reserve(struct buf *b, size_t size);

#endif
