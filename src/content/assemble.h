/*
 * Put a version's tree together: from what an interrupted run left, from seeds, and from the
 * ranges that a source delivers. Every chunk is checked before it counts.
 *
 *     assemble_open → assemble_local → (while assemble_missing: assemble_fetch(another source))
 *     → assemble_finish → assemble_close, then store_commit
 *
 * assemble_local needs no server: an update that changes nothing, a rollback, or a renamed file
 * costs no request. assemble_fetch may be called again with the next source after any failure
 * and goes on with what is still missing; so may a new process after a kill.
 *
 * The folder that is worked in holds `tree`, `manifest`, `index` and `journal`
 * (docs/formats/store.md); the caller holds the version's lock.
 *
 * Where another process keeps what is checked (handover.h), there are two assemblies: the worker's,
 * with a `giver`, fetches and decodes; the keeper's has the tree, looks what is here
 * (assemble_local), and is offered the rest.
 *
 * Beside manifest and index, memory does not grow with the size: below 96 MiB for a bounded queue
 * of frames between the caller's thread, which receives, and a second one, which decodes, hashes
 * and writes; and what a patch takes, at most PATCHREADER_MEMORY and ORIGIN_MEMORY, which only one
 * that means harm comes near. Callbacks come on the caller's thread.
 */
#ifndef CONTENT_ASSEMBLE_H
#define CONTENT_ASSEMBLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/landing.h"
#include "content/manifest.h"
#include "content/plan.h"
#include "content/transfer.h"

#define ASSEMBLE_PROGRESS_MS 100 /* at most one progress call in this time */

/* Another tree that may hold some of the bytes. A missing or damaged one costs nothing else. */
struct assemble_seed {
	char *tree;       /* folder */
	char *manifest;   /* file */
	uint32_t version; /* of the same package, for patches; 0: of another one */
};

struct assemble_progress {
	uint64_t bytes; /* of content that are in place */
	uint64_t bytes_total;
	uint64_t bytes_network; /* read from sources so far */
	uint64_t rate_bps;      /* bytes_network per second, over the last second or so */
};

typedef void (*assemble_progress_fn)(const struct assemble_progress *now, void *ctx);

struct giver;

struct assemble_params {
	const char *dir;      /* the folder to work in; made where it is missing */
	struct giver *giver;  /* chunks land with the keeper; NULL: in `dir` */
	struct span manifest; /* the manifest's bytes, whose hash the caller has checked */
	const char *index;    /* "<version>-<hash>" from the signed location; NULL if no source
				 will be used */
	uint64_t index_size;  /* its bytes; 0: not known. What is known comes at the limited rate */
	const struct assemble_seed *seeds; /* best ones first; looked at while chunks are missing */
	size_t seed_count;
	uint64_t rate_bps;             /* limit for all sources together; 0: none */
	uint32_t gap;                  /* PLAN_GAP_DEFAULT, or more where a round trip is dear */
	const atomic_bool *cancel;     /* set by anybody to stop; may be NULL */
	assemble_progress_fn progress; /* may be NULL */
	void *progress_ctx;
	bool flushes_behind;       /* assemble_finish does not flush; assemble_flush will */
	struct recent *recent;     /* for who reads what assemble_offer lands; may be NULL */
	const struct clock *clock; /* of pace and progress; borrowed like all of the above */
};

/* What `fetch --json` tells of it. */
struct assemble_stats {
	uint64_t bytes_content; /* of all files in the tree */
	uint64_t bytes_network; /* read from sources, whether of use or not */
	uint64_t bytes_seed;    /* content from local trees, an interrupted run's included */
	uint64_t chunks_fetched;
	uint32_t requests; /* ranges and objects asked for */
	enum plan_how how;
	/* What the next best way would have come to, index and all; PLAN_NONE: there was none. */
	struct plan_offer instead;
};

enum assemble_result {
	ASSEMBLE_DONE,    /* nothing is missing: call assemble_finish */
	ASSEMBLE_FAILED,  /* the source failed and knows the class; try the next */
	ASSEMBLE_CORRUPT, /* the source delivered wrong bytes; `err` names object and place */
	ASSEMBLE_LOCAL, /* a fault of this machine, such as ERR_DISK_FULL: no other source helps */
	ASSEMBLE_CANCELLED, /* the cancel flag was set */
	ASSEMBLE_RESULT_COUNT_,
};

/* "done", "failed", "corrupt", "local", "cancelled". */
const char *assemble_result_name(enum assemble_result result);

struct assemble;

/*
 * Read the manifest and prepare the folder. A folder that holds another manifest's work is
 * emptied first. `params` and what it points to stay valid until assemble_close.
 */
bool assemble_open(struct assemble **out, const struct assemble_params *params, struct err *err)
	MUST_USE;

/* Leave the folder as it is, for another run. */
void assemble_close(struct assemble *a);

static inline void assemble_scoped(struct assemble **a)
{
	assemble_close(*a);
}

/* Use what is here: the interrupted run, the tree itself, the seeds. Once, after the open. */
enum assemble_result assemble_local(struct assemble *a, struct err *err) MUST_USE;

/* Different chunks still to come. */
uint64_t assemble_missing(const struct assemble *a);

/*
 * Fetch what is missing from one source. Whatever the result, every chunk that arrived whole
 * stays. `err` is filled for all results but ASSEMBLE_DONE.
 */
enum assemble_result assemble_fetch(struct assemble *a, const struct transfer_source *source,
				    struct err *err) MUST_USE;

/*
 * The same for some chunks only: what is missing of the places [first, first + count), and whatever
 * comes in the same frames. Never by a patch or stream: those come as a whole.
 */
enum assemble_result assemble_fetch_part(struct assemble *a, const struct transfer_source *source,
					 uint32_t first, uint32_t count, struct err *err) MUST_USE;

/* True if the places [first, first + count) are there, their chunks checked. */
bool assemble_has(const struct assemble *a, uint32_t first, uint32_t count);

/* Fill `have`, one byte for each chunk, with what is here at the places of first chunks. */
void assemble_have(const struct assemble *a, uint8_t *have);

/* The bytes of chunk `n`; UINT32_MAX: there is no such chunk. */
uint32_t assemble_chunk_size(const struct assemble *a, uint32_t n);

/*
 * Take one chunk from another process (landing_offer), by one of LANDING_HANDS threads; not while
 * assemble_local or a fetch is under way.
 */
enum landing_put assemble_offer(struct assemble *a, unsigned int hand, uint32_t chunk,
				const uint8_t *bytes, struct err *err) MUST_USE;

/*
 * Make the tree final: empty and equal files, links, modes; then flush it, unless that is to be
 * done behind. Nothing may be missing. The tree then stands complete in `dir`/tree, `dir`/manifest
 * beside it; with a giver, it is the keeper's, under its final name.
 */
bool assemble_finish(struct assemble *a, struct err *err) MUST_USE;

/*
 * Flush the finished tree, wherever it was moved to since. After a failure what the disk has
 * counts, and not what memory has.
 */
bool assemble_flush(struct assemble *a, struct err *err) MUST_USE;

struct assemble_stats assemble_stats(const struct assemble *a);

/* The manifest; borrowed until the close. */
const struct manifest *assemble_manifest(const struct assemble *a);

#endif
