/*
 * A version that another account has built becomes a finished one of the store's owner, the keeper:
 *
 *     store_take_begin → takeover_tree → store_take_end, or store_take_back
 *
 * All of it happens in the folder `taking`, which is the owner's. A kill leaves the version there,
 * and the next begin goes on with it: nothing is fetched again, and nothing unverified gets its
 * final name.
 */
#ifndef CONTENT_STORE_TAKE_H
#define CONTENT_STORE_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "content/store.h"

/*
 * Lock the version, waiting up to `wait_ms` for each of two locks (ERR_LOCKED), and move what was
 * built into store_taking_path, out of the builder's reach by name: the folder with `tree` and
 * `manifest`. ERR_NOT_FOUND: nothing was. The caller closes *lock_out at the end.
 */
bool store_take_begin(int *lock_out, struct store *store, const struct store_id *id,
		      uint32_t wait_ms, struct err *err) MUST_USE;

/*
 * The tree is verified and the owner's, and flushed. It gets its final name, in the place of what
 * stood there, with `manifest` beside it. ERR_LOCKED: what stands there is in use.
 */
bool store_take_end(struct store *store, const struct store_id *id, struct span manifest,
		    uint64_t bytes, struct err *err) MUST_USE;

/* It is not right: its builder gets it back, or it goes where it cannot be given. */
bool store_take_back(struct store *store, const struct store_id *id, struct err *err) MUST_USE;

/* What an end by violence left on its way, other than `but`: its builder gets it back. */
void store_take_back_others(struct store *store, const struct store_id *but);

#endif
