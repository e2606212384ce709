/*
 * Patches and first-install streams of a library's versions: made from its packs, kept beside them
 * as "patches/<from|none>-<to>-<hash>" where they are worth it, listed in a new index.
 *
 *     deltamake_run for each → deltamake_list
 *
 * Takes minutes for large trees; meant for a process of its own. Two runs for one package exclude
 * each other by a lock of their own, so that packing goes on meanwhile.
 */
#ifndef CONTENT_DELTAMAKE_H
#define CONTENT_DELTAMAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/index.h"

#define DELTAMAKE_MEMORY_DEFAULT ((uint64_t)1 << 30)
#define DELTAMAKE_MEMORY_MIN     ((uint64_t)512 << 20)

/* One version in the library. */
struct deltamake_version {
	uint32_t version;
	const char *index;    /* "<version>-<hash>" */
	struct span manifest; /* the file's bytes */
};

struct deltamake_options {
	const char *library;
	const char *package; /* its id */
	struct deltamake_version to;
	const struct deltamake_version *from; /* NULL: a first-install stream */
	uint64_t stream_size; /* of the first-install stream that there is of `to`; 0: there is none
			       */
	uint64_t memory_max;  /* of all that is not mapped; 0: DELTAMAKE_MEMORY_DEFAULT */
	/*
	 * Per cent of one processor that the process which makes it may take, seen over some tens
	 * of seconds: it sleeps between segments. 0, or 100 and more: all that it gets.
	 */
	uint32_t cpu_percent;
	const atomic_bool *cancel;
};

enum deltamake_outcome {
	DELTAMAKE_MADE,
	DELTAMAKE_NOT_WORTH, /* it saves too little over the best without it; not made to its end */
	DELTAMAKE_TOO_LARGE, /* it would need more memory than it may have */
	DELTAMAKE_OUTCOME_COUNT_,
};

/* "made", "not-worth", "too-large". */
const char *deltamake_outcome_name(enum deltamake_outcome outcome);

struct deltamake_result {
	enum deltamake_outcome outcome;
	struct index_delta delta; /* MADE, NOT_WORTH: its size at least */
	uint64_t without;         /* bytes that a client moves without it, at best */
};

/*
 * Make one. A patch has to save a fifth of what the ranges take, or the stream if that is less; a
 * stream a fiftieth of the packs. One that turns out to save less is not made to its end.
 *
 * Faults: ERR_LOCKED       another run works on the package's patches
 *         ERR_INTERRUPTED  `cancel` was set
 *         those of unpack_open; ERR_NOT_FOUND: an index is not in the library
 */
bool deltamake_run(struct deltamake_result *out, const struct deltamake_options *options,
		   struct err *err) MUST_USE;

/*
 * Write the index that lists `deltas` beside all that index `of` says; `name_out` has room for
 * INDEX_NAME_MAX. What `of` lists already of the same kind and origin is replaced.
 */
bool deltamake_list(char *name_out, const char *library, const char *package, const char *of,
		    const struct index_delta *deltas, size_t count, struct err *err) MUST_USE;

/* Remove patches that no index of the package names any more, those included that were made and are
 * not listed yet. */
bool deltamake_tidy(const char *library, const char *package, struct err *err) MUST_USE;

#endif
