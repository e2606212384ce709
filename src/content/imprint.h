/*
 * What the files of a source looked like when a version was made from them: what tells an unchanged
 * file without reading it. docs/formats/imprint.md has the layout.
 *
 * One stamp for each entry of a manifest, in its order; paths and sizes stand in that manifest,
 * which the imprint names by its hash. Devices are left out: their numbers change with a restart.
 *
 * Whoever writes a file and then sets back its size, both times and the inode is not found out;
 * `package update --verify` is for that.
 *
 * Read: imprint_read → imprint_believes, imprint_content_at → imprint_free.
 * Make: imprint_new → imprint_add* → imprint_write.
 *
 * PURE.
 */
#ifndef CONTENT_IMPRINT_H
#define CONTENT_IMPRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define IMPRINT_BYTES_MAX (64u << 20)

/*
 * A file that was touched less than this before the listing began may have been written again
 * without another time: clocks of file systems go in steps of up to two seconds. It is read again.
 */
#define IMPRINT_DOUBT_NS INT64_C(2000000000)

struct imprint_stamp {
	uint64_t inode;
	int64_t modified_ns, changed_ns; /* since 1970 */
};

struct imprint;

/* Of the tree that `manifest` (hash of the manifest file's bytes) describes; its listing began at
 * `listed_ns`. */
struct imprint *imprint_new(const struct digest *manifest, int64_t listed_ns) MUST_USE;
void imprint_free(struct imprint *im);
SCOPED_FREE(imprint);

/* The next entry's; `content` is the hash of its bytes where it was made, else NULL. */
void imprint_add(struct imprint *im, const struct imprint_stamp *stamp,
		 const struct digest *content);

void imprint_write(struct buf *out, const struct imprint *im);

/* Parse an imprint file; ERR_FORMAT where it is none, or damaged. The caller frees `*out`. */
bool imprint_read(struct imprint **out, struct span bytes, struct err *err) MUST_USE;

uint32_t imprint_entry_count(const struct imprint *im);
const struct digest *imprint_manifest(const struct imprint *im);

/* True if the bytes of entry `number` are those of then, going by what it looks like now. */
bool imprint_believes(const struct imprint *im, uint32_t number, const struct imprint_stamp *now);

/* The hash of the entry's bytes, or NULL. */
const struct digest *imprint_content_at(const struct imprint *im, uint32_t number);

#endif
