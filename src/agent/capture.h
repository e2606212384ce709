/*
 * A program's output, kept within bounds: the first and the last CAPTURE_PART bytes of whatever it
 * writes, and how much that was.
 *
 * PURE.
 */
#ifndef AGENT_CAPTURE_H
#define AGENT_CAPTURE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "common/span.h"

#define CAPTURE_PART ((size_t)32 * 1024)

/* { 0 } is a valid empty capture. */
struct capture {
	uint64_t total;  /* bytes ever added */
	struct buf head; /* the first CAPTURE_PART */
	struct buf tail; /* what came behind, a ring of CAPTURE_PART bytes once it is full */
	size_t tail_at;  /* where the oldest byte of a full ring is */
};

void capture_release(struct capture *c);
SCOPED_RELEASE(capture);

void capture_add(struct capture *c, struct span bytes);

/*
 * Append the output as text: head, a line that says how much is left out (if anything is), tail.
 * UTF-8 characters that were cut in two are left out, NUL bytes become "\0".
 */
void capture_text(struct buf *out, const struct capture *c);

#endif
