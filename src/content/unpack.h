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

/*
 * Chunks one by one, from the packs in `folder`. Quick where they are asked for in the order of the
 * index. Folder and index are borrowed.
 */
struct unpack_reader;

struct unpack_reader *unpack_reader_new(const char *folder, const struct index *idx) MUST_USE;
void unpack_reader_free(struct unpack_reader *r);
SCOPED_FREE(unpack_reader);

/* The bytes of the chunk, valid until the next call. ERR_CORRUPT: a pack is damaged; ERR_IO. */
bool unpack_reader_get(struct span *out, struct unpack_reader *r, const struct index_chunk *chunk,
		       struct err *err) MUST_USE;

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
