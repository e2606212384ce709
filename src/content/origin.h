/*
 * The old version that a patch starts from: bytes of its stream, asked for a few at a time from all
 * over it, a million times for a browser.
 *
 * Large files are mapped, so that only what is touched is read; of the others the blocks that were
 * read last are kept. Nobody vouches for the bytes: the tree may be changed behind our back, and
 * what is made of them has to be hashed. One thread.
 */
#ifndef CONTENT_ORIGIN_H
#define CONTENT_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "content/tree.h"

#define ORIGIN_MEMORY ((size_t)16 << 20) /* of blocks; what is mapped is the kernel's */

struct origin;

/* `tree` is borrowed until the release; NULL: there is no old version, and nothing is asked. */
struct origin *origin_new(const struct tree *tree) MUST_USE;
void origin_free(struct origin *o);
SCOPED_FREE(origin);

/* Bytes that are inside the stream will soon be copied: have them come near, if that is cheap. */
void origin_expect(const struct origin *o, uint64_t offset, uint64_t size);

/*
 * Copy the bytes [offset, offset + size) of the stream, which has them. False where they are known
 * not to be there any more.
 */
bool origin_copy(void *dst, struct origin *o, uint64_t offset, size_t size) MUST_USE;

#endif
