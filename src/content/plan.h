/*
 * What has to move: from what is known locally and what a distribution point offers to a list of
 * local copies and one of coalesced ranges, with their totals.
 *
 *     plan_init → plan_add_seed* → plan_add_ranges → plan_release
 *
 * plan_add_ranges may be called again after `have` changed, for example because a seed turned out
 * to hold other bytes than its manifest says: it plans anew for what is still missing.
 *
 * Chunks are told by the number of their first occurrence in the wanted manifest (chunkmap.h).
 *
 * PURE.
 */
#ifndef CONTENT_PLAN_H
#define CONTENT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/chunkmap.h"
#include "content/index.h"
#include "content/manifest.h"

enum plan_how {
	PLAN_NONE,   /* nothing has to come from a distribution point */
	PLAN_RANGES, /* ranges of packs */
	PLAN_PATCH,  /* a patch against a version that is here */
	PLAN_STREAM, /* the first-install stream */
	PLAN_HOW_COUNT_,
};

/* "none", "ranges", "patch", "stream": the names of `fetch --json`. */
const char *plan_how_name(enum plan_how how);

/* Ranges this near to each other become one: fewer bytes than a round trip costs on most links. */
#define PLAN_GAP_DEFAULT (64u << 10)
#define PLAN_NO_TWIN     UINT32_MAX

/* Copy a chunk from a seed that lists it. */
struct plan_copy {
	uint32_t chunk;  /* wanted */
	uint64_t offset; /* in the seed's stream */
};

/* Read one range of one pack; it spans `frame_count` frames that are needed. */
struct plan_range {
	uint32_t pack;        /* number in the index */
	uint32_t first_frame; /* position in plan.frames */
	uint32_t frame_count;
	uint64_t offset;
	uint64_t size;
};

/* What a way of transfer moves. */
struct plan_offer {
	enum plan_how how;
	uint64_t bytes;
	uint32_t requests;
};

struct plan {
	const struct chunkmap *want;
	uint8_t *have; /* for each chunk: not 0 if it needs no planning; changed by the caller at
			  will */

	struct plan_copy *copies; /* of the last seed added */
	uint32_t copy_count;

	uint32_t *frames; /* numbers of needed frames, ascending */
	uint32_t frame_count;
	struct plan_range *ranges; /* ascending by pack, then offset */
	uint32_t range_count;

	enum plan_how how;
	uint64_t bytes_network; /* of all ranges */
	uint64_t bytes_missing; /* content that comes by them */
	uint32_t requests;
	struct plan_offer instead; /* the best that was not taken; PLAN_NONE: there was none */
};

/* Nothing is here at first. `want` is borrowed until the release. */
void plan_init(struct plan *p, const struct chunkmap *want);
void plan_release(struct plan *p);
SCOPED_RELEASE(plan);

/*
 * Find the missing chunks that a tree of manifest `seed` holds: they become `copies`, in the
 * seed's order, and replace those of the seed before. `present` tells for each chunk of the seed
 * whether its bytes are there; NULL: all are.
 */
void plan_add_seed(struct plan *p, const struct manifest *seed, const uint8_t *present);

/*
 * Which file of a seed probably has the same bytes: the chunks at the edges of a file are
 * new as soon as the file is renamed or its neighbour changes, although their bytes are here. For
 * each wanted entry the result holds the number of the seed's entry with the same path and size,
 * else one of that size: with the same mark, or without one and with the same last component, gone
 * from its path, or any; PLAN_NO_TWIN where there is none. Different marks are different bytes. The
 * caller frees it. A guess: the chunk's hash decides.
 */
uint32_t *plan_find_twins(const struct manifest *want, const struct manifest *seed) MUST_USE;

/* True if a missing chunk can be tried from twins: every piece of it has one. */
bool plan_can_guess(const struct plan *p, uint32_t chunk, const uint32_t *twins);

/*
 * Plan the ranges for all that is missing; frames at most `gap` bytes apart share one. Sets `how`
 * and the totals. ERR_FORMAT: the index does not hold a chunk that the manifest names.
 */
bool plan_add_ranges(struct plan *p, const struct index *idx, uint32_t gap, struct err *err)
	MUST_USE;

/* What is here that patches and streams can build on. */
struct plan_local {
	const uint32_t *versions; /* of the package, here as a whole */
	size_t version_count;
	const uint64_t *
		kept; /* for each delta of the index: bytes of its file that are here; NULL: none */
};

/*
 * After plan_add_ranges: the patch or stream that still has to move less than the ranges do,
 * counting `gap` bytes for each request; NULL where none does. Borrowed from the index. Sets `how`
 * and the totals to what was found, and `instead` to the best of the others.
 */
const struct index_delta *plan_find_delta(struct plan *p, const struct index *idx,
					  const struct plan_local *local, uint32_t gap) MUST_USE;

/*
 * What moves by ranges for `want` where the tree of `have` is (NULL: nothing is), as bytes and
 * requests. Files that were renamed may cost less. ERR_FORMAT as plan_add_ranges.
 */
struct plan_cost {
	uint64_t bytes;
	uint32_t requests;
};

bool plan_count_ranges(struct plan_cost *out, const struct manifest *want,
		       const struct manifest *have, const struct index *idx, struct err *err)
	MUST_USE;

#endif
