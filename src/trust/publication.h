/*
 * What a site publishes, as TUF metadata in memory: the roles, the targets that each signs, and the
 * changes to both that are not published yet. issuance.h makes the files.
 *
 *     publication_new → publication_load … (or publication_found) → publication_set_target … →
 *     issuance_build → the caller writes the files → issuance_accept
 *
 * repository.h is the shell that does the reading and writing.
 *
 * PURE.
 */
#ifndef TRUST_PUBLICATION_H
#define TRUST_PUBLICATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/authority.h"
#include "trust/keys.h"
#include "trust/siterole.h"

struct publication_target {
	uint64_t length;
	struct digest sha256;
};

/* Where a target's file stands beneath targets/: "dir/HASH.base". The caller frees it. */
char *publication_target_file(const char *path, const struct digest *sha256) MUST_USE;

/* Names relative to the published folder. */
struct publication_paths {
	char **items;
	size_t count;
};
void publication_paths_release(struct publication_paths *paths);
SCOPED_RELEASE(publication_paths);

struct publication;

struct publication *publication_new(void) MUST_USE;
void publication_free(struct publication *pub);
SCOPED_FREE(publication);

/*
 * Begin from nothing: each role is signed by one key, with threshold 1. The next build makes every
 * role. `role_keys` has SITEROLE_COUNT_ entries, borrowed.
 */
void publication_found(struct publication *pub, const struct key *const *role_keys);

/*
 * Take a role file as published. Root comes first, then timestamp, snapshot, and the others: root
 * and timestamp are checked by root's keys, the rest by the hashes in timestamp and snapshot.
 * ERR_LIMIT, ERR_FORMAT, or ERR_TRUST if it is not what the loaded ones say.
 */
bool publication_load(struct publication *pub, enum siterole role, struct span bytes,
		      struct err *err) MUST_USE;

/* Never use `version` of this role again: a file of that version exists, published or not. */
void publication_saw_version(struct publication *pub, enum siterole role, int64_t version);

/* The published version of a role; 0 before the first. */
int64_t publication_version(const struct publication *pub, enum siterole role);

/* The version of a role that the loaded timestamp (for snapshot) or snapshot lists; 0 if none. */
int64_t publication_listed_version(const struct publication *pub, enum siterole role);

/* When the published version expires (seconds since 1970), or the first of its bins does. */
int64_t publication_expires(const struct publication *pub, enum siterole role);

/* How many bins the role is published in; 0: it is whole. */
unsigned int publication_bins(const struct publication *pub, enum siterole role);

/* How many keys the role lists, how many must sign, and how many of `signers` are among them. */
struct publication_keys {
	size_t listed;
	size_t threshold;
	size_t here;
};
void publication_role_keys(struct publication_keys *out, const struct publication *pub,
			   enum siterole role, const struct authority_signers *signers);

/* The target as it will be in the next build; false if there is none. */
bool publication_find_target(struct publication_target *out, const struct publication *pub,
			     const char *path) MUST_USE;

/* Add, change or remove a target of the next build. False if no role signs such a path. */
bool publication_set_target(struct publication *pub, const char *path,
			    const struct publication_target *target, struct err *err) MUST_USE;
bool publication_remove_target(struct publication *pub, const char *path, struct err *err) MUST_USE;

/*
 * Call `fn` for each target of the next build, in no order, until it returns false. It must not
 * change `pub`. Says whether all were seen.
 */
typedef bool (*publication_target_fn)(const char *path, const struct publication_target *target,
				      void *ctx);
bool publication_each_target(const struct publication *pub, publication_target_fn fn, void *ctx);

/*
 * Who signs `role`, as root or targets say it, for keychange.h: what is changed there is in the
 * next build, together with every role that the change makes invalid. NULL if there is no such
 * role. Bins are signed as their role is. Borrowed.
 */
json_t *publication_signers(struct publication *pub, enum siterole role);

/* Such changes that no build has published yet, to be kept; NULL if there are none. */
json_t *publication_keychanges(const struct publication *pub) MUST_USE;
void publication_set_keychanges(struct publication *pub, const json_t *changes);

/*
 * Let roles that have come to list more than SITEROLE_SPLIT_ABOVE targets be bins from the next
 * build on. To be called before a build; a role that is split stays so, since no role may leave a
 * snapshot.
 */
void publication_split(struct publication *pub);

/* Forget the changes since the last accept. */
void publication_drop_changes(struct publication *pub);

/* True if the last build left out changes to this role or its bins, since its keys are elsewhere.
 */
bool publication_waits(const struct publication *pub, enum siterole role);

/*
 * The files that make up what is published, or what was built last, in the order in which a server
 * may be given them: targets, roles, snapshot, roots from 1 on, timestamp. The caller releases
 * `out`.
 */
void publication_list(struct publication_paths *out, const struct publication *pub);
void publication_list_built(struct publication_paths *out, const struct publication *pub);

#endif
