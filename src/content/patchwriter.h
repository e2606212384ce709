/*
 * Making the file that leads from one version's stream to another's (a patch), or from nothing to
 * a version's stream (a first-install stream): docs/formats/patch.md.
 *
 * Takes one core for some seconds per 100 MB, and memory for delta's tables and four
 * compressors: about `memory_max` and 300 MB more. PURE.
 */
#ifndef CONTENT_PATCHWRITER_H
#define CONTENT_PATCHWRITER_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/delta.h"

#define PATCHWRITER_LEVEL_PATCH  19 /* of zstd; what is left of an update is little */
#define PATCHWRITER_LEVEL_STREAM 12

/* Takes the next bytes of the file; false, with err, ends the making. */
typedef bool patchwriter_out_fn(struct span bytes, void *ctx, struct err *err);

/*
 * Make the file for `in` (an empty old stream gives a first-install stream) at zstd level `level`,
 * 1 to 19. False only if `out` said so, or with ERR_MEMORY or ERR_LIMIT (a stream is too large).
 */
bool patchwriter_run(const struct delta_input *in, int level, patchwriter_out_fn *out, void *ctx,
		     struct err *err) MUST_USE;

#endif
