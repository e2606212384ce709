/*
 * What a version of a package consists of: folders, files and symbolic links with their modes, and
 * the chunks of its stream. The manifest's bytes are signed as a target file;
 * docs/formats/manifest.md has the layout.
 *
 * The stream is the contents of the files, back to back in the order of the entries. A file whose
 * bytes equal those of an earlier file is not in the stream again: it names the earlier one.
 *
 * Read: manifest_read → entries, chunks, pieces → manifest_free.
 * Make: manifest_new → manifest_add_entry*, manifest_add_chunk* → manifest_write.
 *
 * A manifest that was read, or written, keeps these promises: entries ascend strictly by the bytes
 * of their paths; every path stays beneath the root (path_is_beneath) and is UTF-8; the parent of
 * each entry is an earlier entry that is a folder, or the root, which is not listed; no link leads
 * out of the tree, even by way of others; the sizes of the files in the stream and those of the
 * chunks have the same sum.
 *
 * Times and owners are not content and are not in it. PURE.
 */
#ifndef CONTENT_MANIFEST_H
#define CONTENT_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/chunker.h"

#define MANIFEST_BYTES_MAX   (64u << 20) /* of a manifest file, compressed as it is */
#define MANIFEST_BODY_MAX    (64u << 20) /* uncompressed */
#define MANIFEST_ENTRIES_MAX 1000000u
#define MANIFEST_CHUNKS_MAX  1600000u    /* about 100 GiB of content */
#define MANIFEST_TEXT_MAX    (64u << 20) /* all paths and link targets with their terminators */
#define MANIFEST_STREAM_MAX  ((uint64_t)1 << 40)
#define MANIFEST_MARKED_MAX  CHUNKER_MAX /* larger files have chunks of their own */

enum manifest_type {
	MANIFEST_DIR,
	MANIFEST_FILE,
	MANIFEST_LINK,
	MANIFEST_TYPE_COUNT_,
};

#define MANIFEST_NOT_SAME UINT32_MAX

struct manifest_entry {
	const char *path;   /* relative to the package's root, '/' between components */
	const char *target; /* links: where it leads, as text; else NULL */
	uint64_t size;      /* files: bytes; else 0 */
	uint64_t offset;    /* files: where its bytes begin in the stream; else 0 */
	uint32_t same_as;   /* files: the earlier entry with the same bytes, which is in the stream
			       itself, or MANIFEST_NOT_SAME; else MANIFEST_NOT_SAME */
	uint32_t mark; /* files: tells apart those of one size; 0: none. Two files with equal bytes
			  have no different ones. Kept for files of fewer than MANIFEST_MARKED_MAX
			  bytes that share their size with another in the stream */
	uint16_t mode; /* 0 to 0777; links: 0777 */
	uint8_t type;  /* enum manifest_type */
};

struct manifest_chunk {
	struct digest id; /* SHA-256 of its bytes */
	uint32_t size;    /* 1 to CHUNKER_MAX */
	uint64_t offset;  /* in the stream */
};

struct manifest;

struct manifest *manifest_new(void) MUST_USE;
void manifest_free(struct manifest *m);
SCOPED_FREE(manifest);

/*
 * Parse and check a manifest file. ERR_FORMAT or ERR_LIMIT say what is wrong with it; the caller
 * frees
 * `*out`. `bytes` are not kept.
 */
bool manifest_read(struct manifest **out, struct span bytes, struct err *err) MUST_USE;

/*
 * Append an entry; texts are copied. `offset` is filled in by the manifest, and is left alone in
 * `e`. Returns its number. Order and the rest are checked by manifest_write.
 */
uint32_t manifest_add_entry(struct manifest *m, const struct manifest_entry *e);

/* Append a chunk; its offset is the end of the one before. */
void manifest_add_chunk(struct manifest *m, const struct digest *id, uint32_t size);

/* Append the manifest's file bytes to `out`, after the checks that manifest_read makes. */
bool manifest_write(struct buf *out, struct manifest *m, struct err *err) MUST_USE;

/*
 * The identity of the content: SHA-256 of the uncompressed body. Two manifests have the same one
 * exactly if they describe the same tree in the same chunks, whatever compressor wrote them.
 */
void manifest_identity(struct digest *out, const struct manifest *m);

/* Entries and chunks by number; borrowed, valid as long as the manifest (and until an add). */
uint32_t manifest_entry_count(const struct manifest *m);
const struct manifest_entry *manifest_entry_at(const struct manifest *m, uint32_t number);
uint32_t manifest_chunk_count(const struct manifest *m);
const struct manifest_chunk *manifest_chunk_at(const struct manifest *m, uint32_t number);

/* A file's mark, or that of the file which it is the same as. */
uint32_t manifest_mark_of(const struct manifest *m, const struct manifest_entry *e);

/* The entry of that path, or NULL. */
const struct manifest_entry *manifest_find(const struct manifest *m, const char *path);

/* Bytes of the stream, and of all files as they lie in the tree (same ones counted each time). */
uint64_t manifest_stream_size(const struct manifest *m);
uint64_t manifest_tree_size(const struct manifest *m);

/* Regular files only. */
uint32_t manifest_file_count(const struct manifest *m);

/*
 * The pieces of files that a range of the stream consists of, in order:
 *
 *     for (struct manifest_piece_iter it = manifest_pieces(m, chunk->offset, chunk->size);
 *          manifest_piece_next(&it, &piece);)
 *
 * Empty files and files that are the same as an earlier one have no pieces.
 */
struct manifest_piece {
	uint32_t entry; /* number of the file's entry */
	uint64_t file_offset;
	uint64_t range_offset; /* from the beginning of the range */
	uint64_t size;         /* at least 1 */
};

struct manifest_piece_iter {
	const struct manifest *m;
	uint32_t slot; /* position among the files that have stream bytes */
	uint64_t begin, next, end;
};

struct manifest_piece_iter manifest_pieces(const struct manifest *m, uint64_t offset,
					   uint64_t size);
bool manifest_piece_next(struct manifest_piece_iter *it, struct manifest_piece *out);

#endif
