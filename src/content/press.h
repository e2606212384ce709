/*
 * Turns filled frames into packs, on one thread of its own and, when that falls behind, on the
 * caller's: whoever waits for an empty buffer compresses a frame meanwhile. What comes out does not
 * depend on who did what: frames stand in the packs in the order in which they were submitted.
 *
 *     press_new → (press_buffer → fill → press_submit)* → press_commit → press_free
 *
 * Packs have temporary names until the commit. One caller's thread; memory is bounded by
 * PRESS_BUFFERS frames before and after compression.
 */
#ifndef CONTENT_PRESS_H
#define CONTENT_PRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "content/catalogue.h"
#include "content/frame.h"

#define PRESS_BUFFERS 6

struct press_buffer {
	uint8_t *data;  /* room for FRAME_RAW_MAX bytes */
	uint32_t size;  /* bytes filled */
	uint32_t frame; /* the catalogue's number for it */
	bool is_dense;  /* known not to compress: store it as it is */
};

struct press;

/* A press that writes packs of about `pack_bytes` into the folder `dir` at zstd level `level`. */
struct press *press_new(const char *dir, int level, uint64_t pack_bytes) MUST_USE;

/* Drops everything that was not committed. */
void press_free(struct press *p);
SCOPED_FREE(press);

/* An empty buffer. May compress, may block; at most two may be held at a time. */
struct press_buffer *press_buffer(struct press *p) MUST_USE;

/* Hand in a filled buffer, which must not be touched any more; an empty one is just given back. */
void press_submit(struct press *p, struct press_buffer *buffer);

/* True once something failed: what is still submitted is thrown away, the commit will say why. */
bool press_has_failed(struct press *p);

/*
 * Wait for all frames, name the packs, and tell `cat` where each frame lies. On failure packs that
 * had their names already keep them; they hold what their names say, but no index refers to them.
 */
bool press_commit(struct press *p, struct catalogue *cat, struct err *err) MUST_USE;

/* After the commit: packs written and their bytes. */
uint32_t press_pack_count(const struct press *p);
uint64_t press_pack_bytes(const struct press *p);

#endif
