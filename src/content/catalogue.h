/*
 * Which chunks a package has already and in which frame of which pack each lies, while a version is
 * made: learned from the indexes of earlier versions, added to as new frames are filled. In the end
 * it writes the index that covers what the version uses.
 *
 * PURE.
 */
#ifndef CONTENT_CATALOGUE_H
#define CONTENT_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "content/frame.h"
#include "content/index.h"

struct catalogue;

struct catalogue *catalogue_new(void) MUST_USE;
void catalogue_free(struct catalogue *cat);
SCOPED_FREE(catalogue);

/* Whether a pack that an index names may be relied on. */
typedef bool (*catalogue_have_fn)(const struct index_pack *pack, void *ctx);

/* Learn the frames of `idx` whose packs `have` accepts. */
void catalogue_learn(struct catalogue *cat, const struct index *idx, catalogue_have_fn have,
		     void *ctx);

/* The number of a known chunk, or IDMAP_NONE. */
uint32_t catalogue_find(const struct catalogue *cat, const struct digest *id) MUST_USE;

/* Begin a frame; several may be open at a time. Returns its number. */
uint32_t catalogue_add_frame(struct catalogue *cat);

/* Append a chunk that is not known yet to a frame; returns the chunk's number. */
uint32_t catalogue_add_chunk(struct catalogue *cat, uint32_t frame, const struct digest *id,
			     uint32_t size);

/* Say that the version needs this chunk. */
void catalogue_use(struct catalogue *cat, uint32_t chunk);

/* Forget what is needed, before the index of another version. */
void catalogue_use_none(struct catalogue *cat);

/* Say where a new frame came to lie. */
struct catalogue_place {
	struct digest pack;
	uint64_t pack_size;
	uint64_t offset;
	uint32_t stored_size;
	enum frame_codec codec;
};
void catalogue_place_frame(struct catalogue *cat, uint32_t frame,
			   const struct catalogue_place *place);

/* Append the index of all frames that are in use to `out`; each has a place by now. */
bool catalogue_write(struct buf *out, const struct catalogue *cat, struct err *err) MUST_USE;

#endif
