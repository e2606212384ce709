/*
 * How checked content passes from the process that downloads to the one that keeps: a worker, which
 * talks to servers and decodes what they send, gives chunks; root's keeper, which has no network
 * and trusts it in nothing, checks each against the signed manifest and writes it. giver.h is the
 * one end, taker.h the other.
 *
 * Over a stream socket, in frames of common/wire.h:
 *
 *     giver: {"op":"begin",…}             what it wants to give; see docs/formats/handover.md
 *     taker: {"here":true}                it is complete already: the end
 *          | {"room":BYTES} and {"slots":BYTES}, each with memory (handroom.h), then {"hand":N}
 *            and a socket for each hand
 *     taker: {"bytes":N} …, {"stock":true}  what was found here; the memory tells which chunks
 *     giver: {"op":"finish"}              all is given
 *     taker: {"done":true}                it stands under its final name
 *
 * and from the taker {"error":…} in the place of any answer. Whoever closes leaves what has landed
 * for another time.
 *
 * Bytes pass in the shared memory, of which each hand has a part, and what is received another. On
 * a hand's own socket (whole packets) it sends a lot: which chunks stand where. The answer comes
 * when they are on their way to the disk. The memory is the giver's to change at any moment: the
 * taker copies before it looks.
 *
 * PURE: formats and their checks.
 */
#ifndef CONTENT_HANDOVER_H
#define CONTENT_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/frame.h"
#include "content/landing.h"
#include "content/manifest.h"

#define HANDOVER_HANDS_BYTES ((size_t)LANDING_HANDS * FRAME_RAW_MAX)
#define HANDOVER_SLOTS_BYTES (LANDING_SLOTS * LANDING_SLOT_BYTES)
#define HANDOVER_ROOM_BYTES  (HANDOVER_HANDS_BYTES + HANDOVER_SLOTS_BYTES)
static_assert(HANDOVER_HANDS_BYTES >= MANIFEST_CHUNKS_MAX,
	      "what is here has a byte for each chunk");

/* Chunks by the numbers of their first places, their bytes `offset` into the memory. */
struct handover_lot {
	uint32_t count;
	struct handover_item {
		uint32_t chunk;
		uint32_t offset;
	} items[LANDING_LOT_MAX];
};

struct handover_reply {
	uint32_t landed;
	uint32_t outcome; /* enum landing_put */
	struct err err;   /* with LANDING_PUT_FAULT alone */
};

/* Bytes of a lot's packet. */
static inline size_t handover_lot_bytes(uint32_t count)
{
	return offsetof(struct handover_lot, items) + count * sizeof(struct handover_item);
}

/* True if a packet of `size_bytes` is a lot. */
static inline bool handover_is_lot(const struct handover_lot *lot, size_t size_bytes)
{
	return size_bytes >= handover_lot_bytes(0) && lot->count <= LANDING_LOT_MAX &&
	       size_bytes == handover_lot_bytes(lot->count);
}

/* True if a chunk of `size_bytes` can stand there. */
static inline bool handover_fits(uint32_t offset, uint32_t size_bytes)
{
	return size_bytes <= HANDOVER_ROOM_BYTES && offset <= HANDOVER_ROOM_BYTES - size_bytes;
}

#endif
