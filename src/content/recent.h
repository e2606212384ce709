/*
 * The chunks that landed last, in memory: who reads a version while it is built (a mount) takes
 * them from here, as they were hashed. The reader has it, who cannot write, and the keeper, which
 * puts a chunk here, hashes it here and writes it from here, and nobody else. So what is read is
 * what was hashed, whatever became of the file meanwhile. It is found by its id and size; after
 * RECENT_HAND_BYTES more of the same hand at the latest it is gone, and the reader has the file.
 *
 *     reader: recent_new → … recent_read … → recent_free
 *     keeper: recent_attach → { recent_room → recent_publish } … → recent_free
 */
#ifndef CONTENT_RECENT_H
#define CONTENT_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/manifest.h"

#define RECENT_HANDS      2u
#define RECENT_HAND_BYTES ((uint64_t)24 << 20)

struct recent;

/* Memory with nothing in it, the reader's. ERR_MEMORY. */
bool recent_new(struct recent **out, struct err *err) MUST_USE;

/*
 * The same memory in the keeper, by the reader's descriptor, which is borrowed for the call. One
 * keeper writes at a time (keeper_end). ERR_MEMORY; ERR_FORMAT: it is something else.
 */
bool recent_attach(struct recent **out, int fd, struct err *err) MUST_USE;
void recent_free(struct recent *r);

/* The descriptor to be passed to a keeper: the reader's own. */
int recent_fd(const struct recent *r);

/*
 * Room for the bytes of a chunk that hand `hand` is to hash, whose oldest ones go; its own until
 * it asks for the next. A hand is one thread.
 */
uint8_t *recent_room(struct recent *r, unsigned int hand, const struct manifest_chunk *chunk);

/* What stands in that room hashes to the chunk's id. */
void recent_publish(struct recent *r, unsigned int hand);

/*
 * Copy bytes [skip, skip + size) of a chunk; false: they are not here, or not any more, and `dst`
 * holds nothing of use. Any thread.
 */
bool recent_read(void *dst, const struct recent *r, const struct manifest_chunk *chunk, size_t skip,
		 size_t size) MUST_USE;

#endif
