/*
 * The policy in force, and the next one in the making: folders of STATE/policy.
 *
 *     STATE/policy/N/metadata/    the metadata of one publication, each file under its local name
 *     STATE/policy/N/targets/     its documents, under their paths
 *     STATE/policy/current        "N": which one is in force
 *     STATE/policy/draft/         the next one, while it is not whole
 *
 * A generation is made as the draft and put in force by one rename of `current`: after a kill or
 * a full disk at any point the old one is in force, or the new one, and each is whole. Documents
 * may join the one in force later (those that are fetched when asked for); none ever leaves it or
 * changes.
 *
 * Readers hold a generation while they look at it, and hold up nobody: a sweep removes what is not
 * in force and nobody holds. Drafts, commits and sweeps are for the holder of the lock `metadata`.
 *
 * No network and no cryptography: what is in there is to be verified whenever it is used.
 */
#ifndef AGENT_GENERATION_H
#define AGENT_GENERATION_H

#include <stdbool.h>

#include "agent/state.h"
#include "common/error.h"
#include "common/macros.h"

/* The generation in force, held. Texts are owned by the struct. */
struct generation {
	char *dir;
	char *metadata; /* DIR/metadata */
	char *targets;  /* DIR/targets */
	int fd;         /* the hold: a shared lock on the folder */
};

#define GENERATION_EMPTY \
	{                \
		.fd = -1 \
	}

/* ERR_NOT_FOUND: none is in force. */
bool generation_hold(struct generation *out, const struct state *st, struct err *err) MUST_USE;
void generation_release(struct generation *g);
SCOPED_RELEASE(generation);

/* The name of the one in force: it changes with every commit. NULL: none is. The caller frees it.
 */
char *generation_name(const struct state *st) MUST_USE;

/* Make the folders of a draft where they are missing, and say where they are. Not held: fd is -1.
 */
bool generation_draft(struct generation *out, const struct state *st, struct err *err) MUST_USE;

/*
 * Flush the draft and put it in force. Blocks for as long as the disk needs. On failure the one
 * before is in force, or, where only the last flush failed, the new one.
 */
bool generation_commit(const struct state *st, struct err *err) MUST_USE;

/* Remove what is neither in force nor the draft nor held by anybody. */
void generation_sweep(const struct state *st);

#endif
