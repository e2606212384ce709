/*
 * Where the chunks of a version lie on a distribution point: packs, their frames, the chunks in
 * each frame, and the patches and streams that lead to the version. docs/formats/index.md has the
 * layout.
 *
 * An index is not signed: it may lie, and then costs time. Whoever follows it hashes every chunk.
 * It lists every chunk of each frame it names, in order, so that a frame's raw size is the sum of
 * its chunks; some of them may belong to other versions only.
 *
 * Read: index_read → index_find, …_at → index_free.
 * Make: index_new → (index_add_pack → (index_add_frame → index_add_chunk+)+)* → index_write.
 *
 * PURE.
 */
#ifndef CONTENT_INDEX_H
#define CONTENT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/frame.h"

#define INDEX_BYTES_MAX  (96u << 20) /* of an index file, compressed as it is */
#define INDEX_BODY_MAX   (96u << 20)
#define INDEX_PACKS_MAX  65536u
#define INDEX_FRAMES_MAX 1000000u
#define INDEX_CHUNKS_MAX 2000000u
#define INDEX_DELTAS_MAX 1024u
#define INDEX_NAME_MAX   112 /* of an object's name with its terminator */

struct index_pack {
	struct digest digest; /* SHA-256 of its bytes, which is its name */
	uint64_t size;        /* bytes */
	uint32_t first_frame;
	uint32_t frame_count; /* at least 1; frames ascend by offset and do not overlap */
};

struct index_frame {
	uint64_t offset;      /* in the pack */
	uint32_t pack;        /* number of its pack */
	uint32_t stored_size; /* bytes in the pack, 1 to FRAME_STORED_MAX */
	uint32_t raw_size;    /* bytes decoded: the sum of its chunks, at most FRAME_RAW_MAX */
	uint32_t first_chunk;
	uint32_t chunk_count; /* at least 1 */
	enum frame_codec codec;
};

struct index_chunk {
	struct digest id;
	uint32_t frame;  /* number of its frame */
	uint32_t offset; /* in the decoded frame */
	uint32_t size;
};

enum index_delta_kind {
	INDEX_STREAM, /* the whole tree from nothing */
	INDEX_PATCH,  /* the tree from that of another version */
	INDEX_DELTA_KIND_COUNT_,
};

struct index_delta {
	enum index_delta_kind kind;
	uint32_t from;        /* version; 0 for streams */
	struct digest digest; /* of the file */
	uint64_t size;
};

struct index;

struct index *index_new(void) MUST_USE;
void index_free(struct index *idx);
SCOPED_FREE(index);

/* Parse an index file. ERR_FORMAT or ERR_LIMIT say what is wrong; the caller frees `*out`. */
bool index_read(struct index **out, struct span bytes, struct err *err) MUST_USE;

/* Append in order: a frame belongs to the last pack, a chunk to the last frame. */
void index_add_pack(struct index *idx, const struct digest *digest, uint64_t size);
void index_add_frame(struct index *idx, uint64_t offset, uint32_t stored_size,
		     enum frame_codec codec);
void index_add_chunk(struct index *idx, const struct digest *id, uint32_t size);
void index_add_delta(struct index *idx, const struct index_delta *delta);

/* Replace the deltas of its kind and origin by this one, whatever the order. Also for an index that
 * was read. */
void index_set_delta(struct index *idx, const struct index_delta *delta);

/* Forget all patches and streams. */
void index_drop_deltas(struct index *idx);

/* Append the file bytes to `out`. Packs must have been added in ascending order of their digests.
 */
bool index_write(struct buf *out, const struct index *idx, struct err *err) MUST_USE;

/* By number; borrowed, valid as long as the index (and until an add). */
uint32_t index_pack_count(const struct index *idx);
const struct index_pack *index_pack_at(const struct index *idx, uint32_t number);
uint32_t index_frame_count(const struct index *idx);
const struct index_frame *index_frame_at(const struct index *idx, uint32_t number);
uint32_t index_chunk_count(const struct index *idx);
const struct index_chunk *index_chunk_at(const struct index *idx, uint32_t number);
uint32_t index_delta_count(const struct index *idx);
const struct index_delta *index_delta_at(const struct index *idx, uint32_t number);

/* Where the chunk lies, or NULL; of several places the first. Only for an index that was read. */
const struct index_chunk *index_find(const struct index *idx, const struct digest *id);

/*
 * The objects that a version needs on a distribution point, named relative to the package's folder:
 * "packs/<hash>.pack" for each pack, patches and streams, last "index/<version>-<hash>", whose
 * bytes are `index_bytes`.
 *
 *     for (struct index_object_iter it = index_objects(idx, version, bytes);
 *          index_object_next(&it, &object);)
 */
struct index_object {
	char name[INDEX_NAME_MAX];
	struct digest digest; /* SHA-256 of its bytes */
	uint64_t size;
};

struct index_object_iter {
	const struct index *idx;
	struct span index_bytes;
	uint32_t version;
	uint32_t next;
};

struct index_object_iter index_objects(const struct index *idx, uint32_t version,
				       struct span index_bytes);
bool index_object_next(struct index_object_iter *it, struct index_object *out);

/* "<version>-<hash>": the name of index bytes; `dst` has room for INDEX_NAME_MAX. */
void index_print_name(char *dst, uint32_t version, struct span index_bytes);

/* "patches/<from|none>-<version>-<hash>"; `dst` has room for INDEX_NAME_MAX. */
void index_print_delta(char *dst, uint32_t version, const struct index_delta *delta);

/* The parts of such a name, nothing else around it. */
bool index_parse_name(uint32_t *version_out, struct digest *digest_out, const char *name) MUST_USE;

#endif
