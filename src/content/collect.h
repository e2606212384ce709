/*
 * Cutting the bytes of a pack, as they stream in, into the frames that a plan asks for.
 *
 * A frame that is stored as it is may have its memory before its bytes come (collect_place), and
 * whoever receives them put them there: several frames are under way then.
 *
 * PURE.
 */
#ifndef CONTENT_COLLECT_H
#define CONTENT_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "common/recvroom.h"
#include "common/span.h"
#include "content/index.h"

#define COLLECT_AHEAD 4 /* frames that have memory at once */

/* Who uses the frames. */
struct collect_user {
	/* Receive one whole frame; `stored` may be moved out, and a slot is. False: stop. */
	bool (*frame)(void *ctx, uint32_t frame, struct buf *stored);
	/*
	 * Memory for a frame that is stored as it is, which others may write, so that nobody here
	 * is to look into it: empty, and with room for it. False: none is free. NULL: there is
	 * none.
	 */
	bool (*slot)(void *ctx, struct buf *out);
	/* Memory for any other, with any capacity. NULL: fresh memory. */
	void (*spare)(void *ctx, struct buf *out);
	void *ctx;
};

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
	uint32_t at;                      /* position of the frame that is being filled */
	uint32_t placing;                 /* of the one that was placed last */
	struct buf stored[COLLECT_AHEAD]; /* of frames from `at` on, by position: bytes so far */
	struct collect_user user;
};

void collect_init(struct collect *c, const struct index *index, const uint32_t *frames,
		  uint32_t count, const struct collect_user *user);
void collect_release(struct collect *c);
SCOPED_RELEASE(collect);

/* Take the bytes that begin at `offset` of the pack; those between needed frames are dropped. */
enum collect_result collect_feed(struct collect *c, uint64_t offset, struct span bytes) MUST_USE;

/*
 * Where the bytes from `offset` of the pack on are wanted, and for how many that holds. Offsets
 * ascend from call to call. What is put there must be fed nevertheless, from where it stands.
 */
enum recvroom_where collect_place(uint8_t **at_out, size_t *size_out, struct collect *c,
				  uint64_t offset) MUST_USE;

/* True once every frame was handed over. */
bool collect_is_complete(const struct collect *c);

#endif
