/*
 * What a run that makes a version need not read: the files of its source that are as they were when
 * the version before was made, and how that version's stream was cut there.
 *
 * What is taken from it is what reading would have given: the same cuts, the same chunks. Which
 * chunks a library still holds is for the caller to ask.
 *
 * Nothing here reads the files.
 */
#ifndef CONTENT_EARLIER_H
#define CONTENT_EARLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/imprint.h"
#include "content/manifest.h"
#include "content/source.h"

struct earlier;

/*
 * Compare the source with the version of manifest file `manifest`, by the imprint file `imprint`.
 * NULL where one of them is missing, damaged, or not about the other: all has to be read then.
 */
struct earlier *earlier_open(const char *manifest, const char *imprint, const struct source *source)
	MUST_USE;
void earlier_free(struct earlier *e);
SCOPED_FREE(earlier);

/* True if the source is that version, with every entry. */
bool earlier_is_all(const struct earlier *e);

/* The version's manifest; borrowed. */
const struct manifest *earlier_manifest(const struct earlier *e);

/* True if file `number` of the source is unchanged. */
bool earlier_knows(const struct earlier *e, uint32_t number);

/* Of an unchanged file: where its bytes are in the stream of then. */
uint64_t earlier_offset(const struct earlier *e, uint32_t number);

/* Of an unchanged file: the hash of its bytes, or NULL where it is not known. */
const struct digest *earlier_content(const struct earlier *e, uint32_t number);

/* The first chunk of then that begins at `offset` or behind it; manifest_chunk_count: none. */
uint32_t earlier_chunk_from(const struct earlier *e, uint64_t offset);

/* What file `number` of a source looks like. */
struct imprint_stamp earlier_stamp(const struct source_entry *entry);

#endif
