/*
 * The memory of a handover (handover.h), as its two ends have it: two anonymous files of a fixed
 * size that are mapped one behind the other. The first is for what the giver's hands decode; the
 * second has slots for what is received, which the giver may let another process write.
 */
#ifndef CONTENT_HANDROOM_H
#define CONTENT_HANDROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

struct handroom {
	int hands;   /* HANDOVER_HANDS_BYTES; -1: none */
	int slots;   /* HANDOVER_SLOTS_BYTES; -1: none */
	uint8_t *at; /* both: HANDOVER_ROOM_BYTES; NULL: not mapped */
};
#define HANDROOM_NONE ((struct handroom){ .hands = -1, .slots = -1 })

/* Make the two files, of which nobody can change the size. ERR_MEMORY. */
bool handroom_make(struct handroom *r, struct err *err) MUST_USE;

/* Map the two. ERR_MEMORY. */
bool handroom_map(struct handroom *r, struct err *err) MUST_USE;

void handroom_release(struct handroom *r);
SCOPED_RELEASE(handroom);

#endif
