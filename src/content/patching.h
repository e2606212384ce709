/*
 * One patch or first-install stream, from the bytes of its file as they arrive to whole chunks of
 * the new version. What arrives is kept in a file, so that after a kill only what was in
 * flight comes again.
 *
 *     patching_open → patching_feed* → patching_end → patching_close
 *
 * The old tree may have been changed behind our back, and the file may lie: the receiver hashes
 * every chunk. Once something is wrong the rest of the file is only kept, and patching_end says
 * whether it is the one that the index names.
 */
#ifndef CONTENT_PATCHING_H
#define CONTENT_PATCHING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/index.h"
#include "content/manifest.h"
#include "content/tree.h"

#define PATCHING_BATCH (1u << 20) /* about so many bytes of chunks at once */

/*
 * Receive the chunks [first, first + count), back to back in `bytes`, which may be exchanged for
 * another buffer. False: they are of no use, make no more.
 */
typedef bool patching_fn(uint32_t first, uint32_t count, struct buf *bytes, void *ctx);

/* True once chunk `n` is no longer wanted: other bytes may then be handed over in its place. */
typedef bool patching_is_here_fn(uint32_t n, void *ctx);

struct patching_params {
	const struct manifest *manifest; /* what is to be made */
	const struct tree *old;          /* NULL for streams */
	const struct index_delta *delta;
	const char *path; /* where the file is kept; whatever stands there is gone on with */
	patching_fn *chunks;
	patching_is_here_fn *is_here;
	void *ctx;
};

struct patching;

/* All of the parameters are borrowed until the close. ERR_IO, ERR_DISK_FULL: the file. */
bool patching_open(struct patching **out, const struct patching_params *params, struct err *err)
	MUST_USE;
void patching_close(struct patching *p);

static inline void patching_scoped(struct patching **p)
{
	patching_close(*p);
}

/* How many bytes of the file are here: what comes next begins there. */
uint64_t patching_offset(const struct patching *p);

/* Take the next bytes of the file, no more than it has. False: it cannot be kept. */
bool patching_feed(struct patching *p, struct span bytes, struct err *err) MUST_USE;

enum patching_result {
	PATCHING_COMPLETE, /* every chunk was handed over */
	PATCHING_SHORT,    /* the file is not here as a whole */
	PATCHING_USELESS,  /* it is the right file, but the version does not come out of it */
	PATCHING_CORRUPT,  /* it is another file than the index names */
};

/* Fills `err` unless the result is PATCHING_COMPLETE. */
enum patching_result patching_end(struct patching *p, struct err *err) MUST_USE;

/*
 * After a complete end, where chunks turned out to be wrong: reads the file again. False if it is
 * another than the index names, as for PATCHING_CORRUPT.
 */
bool patching_is_named(struct patching *p, struct err *err) MUST_USE;

#endif
