/*
 * One record in a segment of the outbox: its frame, written and read. See docs/formats/outbox.md.
 *
 * PURE.
 */
#ifndef AGENT_SEGMENT_H
#define AGENT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "common/span.h"

#define SEGMENT_KEY_MAX    127
#define SEGMENT_JSON_MAX   ((size_t)4 << 20)
#define SEGMENT_FRAME_SIZE 17 /* bytes of a frame beside key and JSON */

struct segment_record {
	uint64_t sequence;
	struct span key; /* empty for none */
	struct span json;
};

/* Append one record; key and JSON are within their maxima. */
void segment_put(struct buf *out, const struct segment_record *record);

/*
 * Take the record at the front, which must have the number `sequence`. False at the end, and where
 * the rest is torn or damaged; `bytes` stays as it was then.
 */
bool segment_take(struct span *bytes, struct segment_record *out, uint64_t sequence) MUST_USE;

#endif
