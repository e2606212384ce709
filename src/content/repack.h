/*
 * Repacking: where little of a pack is still needed, what is needed goes into a new one, and the
 * versions get new indexes. Nothing is removed and nothing is replaced: the old indexes and packs
 * stand until library_tidy, for which an index has to be gone first.
 *
 * After a kill at any point there are at most packs that no index names, which library_tidy
 * removes, or indexes that nobody refers to.
 */
#ifndef CONTENT_REPACK_H
#define CONTENT_REPACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/index.h"

#define REPACK_LIVE_PERCENT 40                  /* of a pack that is rewritten, at most */
#define REPACK_DEAD_MIN     ((uint64_t)1 << 20) /* bytes; less is not worth a new pack on DPs */
#define REPACK_MOVE_MAX     ((uint64_t)2 << 30) /* content bytes of one run */

/* A version that is kept, by its index in the library. */
struct repack_version {
	uint32_t version;
	const char *index;    /* "<version>-<hash>" */
	struct span manifest; /* the file's bytes */
};

struct repack_options {
	const char *library;
	const char *package;
	const struct repack_version *versions; /* all that are kept: what none needs is dead */
	size_t count;
	uint32_t live_percent; /* 0: REPACK_LIVE_PERCENT */
	uint64_t dead_min;     /* 0: REPACK_DEAD_MIN */
	uint64_t pack_bytes;   /* 0: PACK_BYTES_TARGET */
	const atomic_bool *cancel;
};

struct repack_made {
	char index[INDEX_NAME_MAX]; /* "" where the version needs none of the packs */
	uint64_t index_size;
};

struct repack_result {
	uint32_t packs_old; /* that were repacked; 0: there was nothing to do */
	uint64_t bytes_old; /* of them */
	uint32_t packs_new;
	uint64_t bytes_new;
	struct repack_made *made; /* one for each version; NULL where there was nothing to do */
};

void repack_result_release(struct repack_result *r);
SCOPED_RELEASE(repack_result);

/*
 * The caller keeps others from tidying the package until the database names the new indexes.
 *
 * Faults: ERR_LOCKED       another run works on the package
 *         ERR_INTERRUPTED  `cancel` was set
 *         ERR_CORRUPT      an old pack is damaged
 *         ERR_NOT_FOUND, ERR_FORMAT of an index; ERR_DISK_FULL, ERR_IO
 */
bool repack_run(struct repack_result *out, const struct repack_options *options, struct err *err)
	MUST_USE;

#endif
