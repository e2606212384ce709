/*
 * Cuts the stream of a version into chunks, hashes them, and fills frames with those that the
 * catalogue does not know.
 *
 *     cutter_new → (cutter_room → read into it → cutter_take)*, cutter_boundary → cutter_finish
 *
 * Chunks that look compressed already go to frames of their own, which are stored as they are.
 */
#ifndef CONTENT_CUTTER_H
#define CONTENT_CUTTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/macros.h"
#include "content/catalogue.h"
#include "content/press.h"

#define CUTTER_ROOM ((size_t)1 << 20)

struct cutter_chunk {
	struct digest id;
	uint32_t size;
};

struct cutter;

/*
 * Keeps both pointers; their owner frees them after the cutter. A stream of at most `to_come` bytes
 * is expected: towards its end frames get smaller.
 */
struct cutter *cutter_new(struct catalogue *cat, struct press *press, uint64_t to_come) MUST_USE;
void cutter_free(struct cutter *c);
SCOPED_FREE(cutter);

/* Where the next CUTTER_ROOM bytes go; nothing of what is put there counts until cutter_take. */
uint8_t *cutter_room(struct cutter *c) MUST_USE;

/* The first `size` bytes at cutter_room belong to the stream. */
void cutter_take(struct cutter *c, size_t size);

/* End the chunk under way, so that the next byte of the stream begins one. */
void cutter_boundary(struct cutter *c);

/* True if the next byte of the stream begins a chunk. */
bool cutter_is_between(const struct cutter *c);

/* The next chunk of the stream, between two others, is one that the catalogue knows by `number`. */
void cutter_take_known(struct cutter *c, uint32_t number, const struct cutter_chunk *chunk);

/* End the stream and hand the last frames to the press. */
void cutter_finish(struct cutter *c);

/* The chunks of the stream so far. */
uint32_t cutter_chunk_count(const struct cutter *c);
const struct cutter_chunk *cutter_chunk_at(const struct cutter *c, uint32_t number);

/* Forget the last chunks, down to `count` of them: they repeat others of the stream. */
void cutter_drop_chunks(struct cutter *c, uint32_t count);

/* Bytes of the chunks that were new to the catalogue. */
uint64_t cutter_new_bytes(const struct cutter *c);

#endif
