/*
 * The outside of our binary documents: four letters, a format number, the size of the body and the
 * body as one zstd frame. Manifests and indexes stand in it.
 *
 * PURE.
 */
#ifndef CONTENT_COMPACT_H
#define CONTENT_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define COMPACT_FORMAT 1

struct compact_kind {
	char magic[5];    /* four letters */
	const char *noun; /* for errors: "manifest" */
	size_t bytes_max; /* of the whole document */
	size_t body_max;  /* of the body, decoded */
};

/* Append the document for `body` to `out`. ERR_LIMIT where the body is larger than its kind allows.
 */
bool compact_write(struct buf *out, const struct compact_kind *kind, struct span body,
		   struct err *err) MUST_USE;

/* Append the body of the document `bytes` to `out`, which is empty. ERR_FORMAT, ERR_LIMIT. */
bool compact_read(struct buf *out, const struct compact_kind *kind, struct span bytes,
		  struct err *err) MUST_USE;

#endif
