/*
 * Cutting the bytes of a pack, as they stream in, into the frames that a plan asks for.
 *
 * PURE.
 */
#ifndef CONTENT_COLLECT_H
#define CONTENT_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/index.h"

/* Receive one whole frame; `stored` may be exchanged for another buffer, or left. False: stop. */
typedef bool (*collect_fn)(void *ctx, uint32_t frame, struct buf *stored);

enum collect_result {
	COLLECT_MORE,     /* go on */
	COLLECT_ENOUGH,   /* bytes came after the last frame: nothing more is needed */
	COLLECT_STOPPED,  /* the receiver stopped it */
	COLLECT_DISORDER, /* bytes of a frame are missing, or come again */
};

struct collect {
	const struct index *index;
	const uint32_t *frames; /* numbers of frames of one pack, ascending; borrowed */
	uint32_t count;
	uint32_t at;       /* position of the frame that is being filled */
	struct buf stored; /* its bytes so far */
	collect_fn fn;
	void *ctx;
};

void collect_init(struct collect *c, const struct index *index, const uint32_t *frames,
		  uint32_t count, collect_fn fn, void *ctx);
void collect_release(struct collect *c);
SCOPED_RELEASE(collect);

/* Take the bytes that begin at `offset` of the pack; those between needed frames are dropped. */
enum collect_result collect_feed(struct collect *c, uint64_t offset, struct span bytes) MUST_USE;

/* True once every frame was handed over. */
bool collect_is_complete(const struct collect *c);

#endif
