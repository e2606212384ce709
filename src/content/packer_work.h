/*
 * A run that makes a version, as the files that do its work share it (packer.c, packer_known.c).
 */
#ifndef CONTENT_PACKER_WORK_H
#define CONTENT_PACKER_WORK_H

#include <stdint.h>

#include "content/catalogue.h"
#include "content/chunker.h"
#include "content/cutter.h"
#include "content/earlier.h"
#include "content/idmap.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/packer.h"
#include "content/press.h"
#include "content/source.h"

/*
 * Files of this size and more stand on chunk boundaries of their own, so that the same file has
 * the same chunks wherever it stands. Below it a file may be smaller than a chunk, and sameness
 * is found by hashing it whole.
 */
#define PACKER_LARGE_FILE CHUNKER_MAX

struct packer {
	const struct packer_options *options;
	struct source *source;
	struct earlier *earlier; /* NULL: every file is read */
	struct catalogue *cat;
	struct press *press;
	struct cutter *cutter;
	struct manifest *manifest;
	uint8_t *has_twin;       /* per entry: another file has its size, so they may be the same */
	struct digest *contents; /* per entry: a hash that tells files of one size apart */
	struct idmap by_content; /* entries with bytes in the stream */
	uint32_t *same_as;       /* per entry that was judged ahead of its turn (packer_known.c) */
	uint32_t judged;         /* entries before this one were */
	uint64_t ahead;          /* bytes of files to come that the stream has already */
	uint64_t done, reported;
};

/* False with ERR_INTERRUPTED once the run was called off. */
bool packer_work_check(const struct packer *p, struct err *err) MUST_USE;

void packer_work_tell(struct packer *p, uint64_t bytes);

/*
 * The earlier file with the same size and content hash, or MANIFEST_NOT_SAME; then this one is
 * remembered for those to come. Files meet in their order.
 */
uint32_t packer_work_meet(struct packer *p, uint32_t number);

/* Read exactly `size` bytes to the cutter's room. */
bool packer_work_read(struct packer *p, const struct source_entry *e, int fd, size_t size,
		      struct err *err) MUST_USE;

/* The hash of the ids of chunks: files that are the same have the same. */
void packer_work_hash_chunks(struct digest *out, const struct cutter_chunk *chunks, uint32_t count);

#endif
