/*
 * The stream of a version, from the packs of a library into a file that can be mapped. Every chunk
 * is hashed: what comes out is what the manifest says.
 */
#ifndef CONTENT_UNPACK_H
#define CONTENT_UNPACK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/index.h"
#include "content/manifest.h"

struct unpack {
	struct span stream; /* mapped; empty for a version without bytes */
};

/*
 * Unpack into a file without a name in `folder`, which holds `packs`, and map it. Takes as much of
 * the disk there as the stream has bytes, until unpack_close.
 *
 * Faults: ERR_CORRUPT      a pack is damaged, or a chunk is nowhere
 *         ERR_INTERRUPTED  `cancel` was set
 *         ERR_IO, ERR_DISK_FULL
 */
bool unpack_open(struct unpack *out, const char *folder, const struct index *idx,
		 const struct manifest *manifest, const atomic_bool *cancel, struct err *err)
	MUST_USE;
void unpack_close(struct unpack *u);

static inline void unpack_scoped(struct unpack *u)
{
	unpack_close(u);
}

#endif
