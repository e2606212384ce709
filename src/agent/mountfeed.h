/*
 * What a mount reads from: the version's tree, complete or growing, and the worker that brings what
 * is missing in it. One thread asks the worker; any number of others read and wait.
 *
 *     mountfeed_open → mountfeed_start → { mountfeed_copy_recent | mountfeed_need |
 *     mountfeed_passed } … → mountfeed_close
 *
 * Nothing here says that the tree's bytes are right: whoever reads them hashes them (mountread.h).
 */
#ifndef AGENT_MOUNTFEED_H
#define AGENT_MOUNTFEED_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/job.h"
#include "common/error.h"
#include "common/macros.h"
#include "content/manifest.h"
#include "content/tree.h"

struct mountfeed;

/* Texts are borrowed until the close. */
struct mountfeed_params {
	struct job *job; /* its worker is the feed's from now on: the agent's, while it can be had
			  * (lease.h), or one of its own; its caller's ways count */
	const char *package;
	int64_t version;                     /* 0: the newest */
	const char *manifest;                /* hash that it must have; NULL: as the worker says */
	const char *advertisement, *program; /* for records; NULL: none */
};

/*
 * Find the version, and have its first bytes here: whoever could serve none of it says so now.
 * Blocks for the network. Faults as those of a fetch.
 */
bool mountfeed_open(struct mountfeed **out, const struct mountfeed_params *params, struct err *err)
	MUST_USE;

/* From now on the feed has a thread of its own. */
bool mountfeed_start(struct mountfeed *f, struct err *err) MUST_USE;
void mountfeed_close(struct mountfeed *f);

const struct manifest *mountfeed_manifest(const struct mountfeed *f);
const char *mountfeed_manifest_hash(const struct mountfeed *f);
int64_t mountfeed_version(const struct mountfeed *f);

/*
 * The tree, for reading until the release. `generation` changes when it is another folder: files
 * that are open are then to be opened anew. NULL: there is none just now (nothing to release).
 */
const struct tree *mountfeed_hold(uint64_t *generation, struct mountfeed *f);
void mountfeed_release(struct mountfeed *f);

/*
 * Copy bytes [skip, skip + size) of a chunk that a keeper of ours has landed lately, as it hashed
 * them; false: it has not, and `dst` holds nothing of use.
 */
bool mountfeed_copy_recent(void *dst, struct mountfeed *f, uint32_t chunk, size_t skip, size_t size)
	MUST_USE;

enum mountfeed_need {
	MOUNTFEED_HERE,        /* the worker says so */
	MOUNTFEED_FAILED,      /* no server gave it */
	MOUNTFEED_INTERRUPTED, /* `ask` said to stop waiting */
	MOUNTFEED_LOOK,        /* `ask` said to look now */
};

/* Asked every few milliseconds while waiting: MOUNTFEED_HERE is to go on with it. */
typedef enum mountfeed_need mountfeed_ask_fn(void *ctx);

enum mountfeed_urge {
	MOUNTFEED_MISSING,
	MOUNTFEED_DAMAGED, /* the worker said that it is here, and it is not right */
};

/* Have the chunks [first, first + count) brought; blocks. */
enum mountfeed_need mountfeed_need(struct mountfeed *f, uint32_t first, uint32_t count,
				   enum mountfeed_urge urge, mountfeed_ask_fn *ask, void *ctx);

/* [offset, offset + size) of the stream was read: more may be brought in advance. */
void mountfeed_passed(struct mountfeed *f, uint64_t offset, uint64_t size);

/* The chunk that holds byte `offset` of the stream, which must be in it. */
uint32_t mountfeed_chunk_at(const struct manifest *m, uint64_t offset);

#endif
