/*
 * Applying a patch or first-install stream (docs/formats/patch.md): the file goes in as it arrives,
 * the new stream comes out in order.
 *
 *     patchreader_new → patchreader_feed* → patchreader_finish → patchreader_free
 *
 * A patch is not signed and may lie, as an index may: the caller cuts what comes out into the
 * manifest's chunks and hashes them before they count. Whatever the bytes, a reader takes at most
 * PATCHREADER_MEMORY and delivers no more than the new stream's size. PURE.
 */
#ifndef CONTENT_PATCHREADER_H
#define CONTENT_PATCHREADER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define PATCHREADER_MEMORY ((size_t)120 << 20)

/* What is applied, and to what. */
struct patchreader_target {
	uint64_t old_size; /* of the old stream; 0 for first-install streams */
	uint64_t new_size;

	/* Copy old bytes [offset, offset + size) to `dst`; they are inside the old stream. */
	bool (*old)(void *dst, uint64_t offset, size_t size, void *ctx, struct err *err);

	/* NULL, or told of what `old` will soon be asked for; it may fetch what is slow to reach.
	 */
	void (*soon)(uint64_t offset, uint64_t size, void *ctx);

	/* Takes the next bytes of the new stream. */
	bool (*sink)(struct span bytes, void *ctx, struct err *err);
	void *ctx;
};

struct patchreader;

struct patchreader *patchreader_new(const struct patchreader_target *target) MUST_USE;
void patchreader_free(struct patchreader *r);
SCOPED_FREE(patchreader);

/*
 * Take the next bytes of the file, and deliver what they complete.
 *
 * Faults: ERR_FORMAT  no patch for these sizes, or damaged; the reader is of no more use
 *         else        what `old` or `sink` said
 */
bool patchreader_feed(struct patchreader *r, struct span bytes, struct err *err) MUST_USE;

/* True if the whole new stream was delivered and the file ends there; else ERR_FORMAT. */
bool patchreader_finish(const struct patchreader *r, struct err *err) MUST_USE;

/* Bytes of the new stream that were made; the last of them may not be delivered yet. */
uint64_t patchreader_made(const struct patchreader *r);

#endif
