/*
 * The client's content store: complete versions of packages, versions under construction, and
 * the decision what goes when room is needed.
 *
 * The store is a cache. It may be deleted while no command runs; a version that is missing is
 * fetched again. A version appears under its name by one rename and disappears by one rename, so
 * whoever finds the folder finds it whole. docs/formats/store.md has the layout.
 *
 * Two locks for each version, both of which end with their descriptor by whatever death:
 *   exclusive (store_lock)  who builds or removes the version
 *   shared (store_pin)      who uses it; a pinned version is never removed
 *
 * Usual sequence: store_open → store_holds? store_pin and use it : store_lock, assemble,
 * store_commit → store_close. One handle per thread.
 *
 * All of it belongs to the store folder's owner, but for the folder `partial` where another account
 * downloads: there are its patches and indexes. It only reads the rest; the owner builds, out of
 * what the other gives (handover.h). What stands under a final name but is not the owner's does not
 * count.
 */
#ifndef CONTENT_STORE_H
#define CONTENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define STORE_PACKAGE_SIZE 9 /* a package id with its terminator */
#define STORE_VERSION_MAX  UINT32_MAX

/* What this process is to the store. */
enum store_part {
	STORE_ALL,      /* one account does everything */
	STORE_SUPPLIER, /* it downloads, and reads what is finished */
	STORE_KEEPER,   /* it builds out of what another account downloads */
};

/* One version of one package; a plain value. */
struct store_id {
	char package[STORE_PACKAGE_SIZE];
	uint32_t version;
};

/* False where `package` is no package id or `version` is 0. */
bool store_id_make(struct store_id *out, const char *package, uint64_t version) MUST_USE;

bool store_id_equal(const struct store_id *a, const struct store_id *b);

/* What one version takes, as store_list tells it. */
struct store_item {
	struct store_id id;
	bool complete;       /* false: under construction */
	bool in_use;         /* pinned or locked by somebody at the moment of listing */
	uint64_t bytes;      /* of content; for an incomplete one what it takes on the disk */
	int64_t last_used_s; /* since 1970 */
};

struct store;

/*
 * Open the store in the folder `dir`, making it where there is none, and finish removals that a
 * kill interrupted. `clock` dates the use of versions and outlives the handle.
 */
bool store_open(struct store **out, const char *dir, const struct clock *clock, struct err *err)
	MUST_USE;
void store_close(struct store *store);

static inline void store_scoped(struct store **store)
{
	store_close(*store);
}

enum store_part store_part(const struct store *store);

/* Where a complete version stands or would stand, and its manifest; the caller frees them. */
char *store_tree_path(const struct store *store, const struct store_id *id) MUST_USE;
char *store_manifest_path(const struct store *store, const struct store_id *id) MUST_USE;

/*
 * Where a version is put together: a folder for the assembler, which makes it; and where a supplier
 * has its folder, which is the same if one account does all. The caller frees them.
 */
char *store_build_path(const struct store *store, const struct store_id *id) MUST_USE;
char *store_partial_path(const struct store *store, const struct store_id *id) MUST_USE;

/*
 * True if the version is complete, its owner's, and flushed or written since the machine was
 * started (storerecord.h). Only a pin keeps it so.
 */
bool store_holds(const struct store *store, const struct store_id *id);

/*
 * The same, and it was made by exactly this manifest: the store is a cache, and what it holds
 * counts only if it is the version that is signed now.
 */
bool store_holds_exactly(const struct store *store, const struct store_id *id,
			 struct span manifest);

/*
 * Take the version's exclusive lock, waiting up to `wait_ms`. ERR_LOCKED: somebody builds,
 * removes or uses it. The lock ends when the caller closes the descriptor.
 */
bool store_lock(int *fd_out, struct store *store, const struct store_id *id, uint32_t wait_ms,
		struct err *err) MUST_USE;

/*
 * Pin a complete version and note its use. ERR_NOT_FOUND: it is not complete; ERR_LOCKED: it is
 * being built or removed. The pin ends when every copy of the descriptor is closed; it is
 * close-on-exec, so a process that shall keep the pin past exec clears that flag.
 */
bool store_pin(int *fd_out, struct store *store, const struct store_id *id, struct err *err)
	MUST_USE;

/* A version that somebody wants to have here. */
struct store_wanted {
	struct span manifest; /* of the version that is signed */
	uint64_t bytes;       /* of its content */
	uint64_t quota;       /* as of store_make_room */
	uint32_t wait_ms;     /* for who builds, removes or uses it */
	bool mends;           /* what stands there is not believed */
};

enum store_begun {
	STORE_BEGUN, /* locked, and nothing stands there: build it */
	STORE_HERE,  /* it is here, made by exactly this manifest */
	STORE_FAULT, /* see err, which store_make_room and store_lock fill */
};

/*
 * Begin to build a version, unless it is here, or somebody finishes it while its lock is waited
 * for: old downloads go, room is made, and what stands there is taken back. The lock, if it has
 * begun, ends when the caller closes *lock_out. No work of a supplier's.
 */
enum store_begun store_begin(int *lock_out, struct store *store, const struct store_id *id,
			     const struct store_wanted *wanted, struct err *err) MUST_USE;

/*
 * Make the version under construction visible: `tree` and `manifest` in its folder move to their
 * final names, the tree last, and the folder goes, and a supplier's too. The caller holds the lock,
 * has flushed the tree to disk, and states the content's size for the quota.
 */
bool store_commit(struct store *store, const struct store_id *id, uint64_t bytes, struct err *err)
	MUST_USE;

/*
 * The same before the tree is flushed: the version counts until the machine is started again.
 * *record_out is for store_settle, and the caller's to close.
 */
bool store_commit_early(int *record_out, struct store *store, const struct store_id *id,
			uint64_t bytes, struct err *err) MUST_USE;

/*
 * The tree that such a commit has moved is flushed: have the version count for good. Needs no lock:
 * one that was removed or built anew meanwhile stays as it is. store_doubt: the flush has failed,
 * or this has; the version does not count any more.
 */
bool store_settle(struct store *store, const struct store_id *id, int record, struct err *err)
	MUST_USE;
void store_doubt(int record);

/*
 * Take a version back under construction, so that the assembler can mend what verification or a
 * power cut left: tree and manifest move into its folder. One that is not the owner's goes instead.
 * The caller holds the lock.
 */
bool store_reopen(struct store *store, const struct store_id *id, struct err *err) MUST_USE;

/* True if something stands under the version's final name, whosever it is. */
bool store_stands(const struct store *store, const struct store_id *id);

/*
 * Remove a version, complete or not; no work of a supplier's. ERR_IN_USE: it is pinned or being
 * built. An absent version is fine.
 */
bool store_remove(struct store *store, const struct store_id *id, struct err *err) MUST_USE;

/*
 * Remove versions under construction that nobody uses and that have not grown for `keep_s` seconds;
 * `keep` stays. What cannot be removed stays for the next time.
 */
void store_sweep_partial(struct store *store, int64_t keep_s, const struct store_id *keep);

/*
 * List all versions, complete ones before incomplete ones of the same id. The caller frees
 * `*out` with free(). What does not look like ours is passed over.
 */
bool store_list(struct store_item **out, size_t *count_out, struct store *store, struct err *err)
	MUST_USE;

/* What the store takes, in bytes of content. */
bool store_usage(uint64_t *bytes_out, struct store *store, struct err *err) MUST_USE;

/*
 * Remove the least recently used versions until `need` bytes fit into `quota` (0: no limit).
 * Versions in use stay, `keep` (may be NULL) stays, and other versions of its package go last,
 * since an update draws on them.
 *
 * ERR_LIMIT: what is left is in use and still too much; nothing is removed in vain.
 */
bool store_make_room(struct store *store, uint64_t quota, uint64_t need,
		     const struct store_id *keep, struct err *err) MUST_USE;

#endif
