/*
 * What differs between two trees by their manifests: entries that were added, removed, changed or
 * renamed. A renamed file is one of the same bytes under another path.
 *
 *     treediff_identify of both → treediff_is_sure, else identify again with streams
 *     → treediff_compare → treediff_release
 *
 * PURE.
 */
#ifndef CONTENT_TREEDIFF_H
#define CONTENT_TREEDIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/manifest.h"

/* A tree and what its files are told by: files with equal `ids` have equal bytes. */
struct treediff_side {
	const struct manifest *manifest; /* borrowed */
	struct digest *ids;              /* for each entry; of files only */
};

/*
 * Fill in `ids`. With the tree's stream they are hashes of the bytes, and files of other `ids` are
 * others; without (NULL) they say how each file is cut into chunks: then equal files may differ in
 * theirs, where a neighbour in the stream changed.
 */
void treediff_identify(struct treediff_side *side, const struct span *stream);
void treediff_side_release(struct treediff_side *side);
SCOPED_RELEASE(treediff_side);

/* False where ids made without streams leave open whether two files are the same. */
bool treediff_is_sure(const struct treediff_side *old, const struct treediff_side *new) MUST_USE;

enum treediff_kind {
	TREEDIFF_ADDED,
	TREEDIFF_REMOVED,
	TREEDIFF_CHANGED,
	TREEDIFF_RENAMED, /* and perhaps of another mode */
	TREEDIFF_KIND_COUNT_,
};

/* "added", "removed", "changed", "renamed". */
const char *treediff_kind_name(enum treediff_kind kind);

struct treediff_change {
	enum treediff_kind kind;
	const struct manifest_entry
		*old; /* NULL: added; borrowed from the manifests, as `new` is */
	const struct manifest_entry *new; /* NULL: removed */
	bool has_other_bytes;             /* CHANGED: two files whose bytes differ */
};

struct treediff {
	struct treediff_change *changes; /* by path: the new one, else the old one */
	size_t count;
	uint32_t unchanged; /* entries */
};

/* `out` must be empty. */
void treediff_compare(struct treediff *out, const struct treediff_side *old,
		      const struct treediff_side *new);
void treediff_release(struct treediff *diff);
SCOPED_RELEASE(treediff);

#endif
