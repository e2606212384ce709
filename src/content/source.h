/*
 * An admin's folder as the source of a version: what is in it, in manifest order, and the files'
 * bytes, with everything refused that could not be installed as it is or would change under the
 * reader.
 *
 *     source_open → for each file: source_read_begin, read(2) … to the end, source_read_end
 *                 → source_settle → source_close
 *
 * Holds paths and a few numbers per entry, no content. Symbolic links are never followed.
 */
#ifndef CONTENT_SOURCE_H
#define CONTENT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

enum source_flag {
	SOURCE_SKIP_OUTSIDE_LINKS = 1 << 0, /* leave them out, do not refuse */
};

struct source_entry {
	const char *path;   /* relative to the folder */
	const char *target; /* links only */
	uint64_t size;      /* files only */
	uint64_t device, inode;
	int64_t modified_ns, changed_ns;
	uint16_t mode; /* 0 to 0777; links: 0777 */
	uint8_t type;  /* enum manifest_type */
};

struct source;

/*
 * List `folder`. Blocks for as long as the disk takes.
 *
 * Faults: ERR_SOURCE something in it cannot be part of a package; names it (of links that lead out
 * the first five). Also an empty folder. ERR_SOURCE_CHANGED it changed while it was listed
 *         ERR_LIMIT too many entries, a name too long
 *         ERR_PERMISSION, ERR_IO name the file
 */
bool source_open(struct source **out, const char *folder, uint32_t flags, struct err *err) MUST_USE;
void source_close(struct source *s);

static inline void source_scoped(struct source **s)
{
	source_close(*s);
}

/* Entries in manifest order; borrowed. */
uint32_t source_entry_count(const struct source *s);
const struct source_entry *source_entry_at(const struct source *s, uint32_t number);

/* Bytes of all files. */
uint64_t source_size(const struct source *s);

/* When the listing began, by this machine's clock; since 1970. */
int64_t source_listed_ns(const struct source *s);

/* How many links were left out, and the first five as one line of text ("" where there are none).
 */
uint32_t source_skipped_count(const struct source *s);
const char *source_skipped_text(const struct source *s);

/* Open file `number` for reading from its beginning. ERR_SOURCE_CHANGED if it is not what was
 * listed. */
bool source_read_begin(int *fd_out, const struct source *s, uint32_t number, struct err *err)
	MUST_USE;

/* Check that the file has not changed since it was listed. The caller closes `fd`. */
bool source_read_end(const struct source *s, uint32_t number, int fd, struct err *err) MUST_USE;

/* Check that no folder has changed since it was listed. */
bool source_settle(const struct source *s, struct err *err) MUST_USE;

#endif
