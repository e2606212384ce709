/*
 * What of the store an assembly may draw on.
 */
#ifndef CONTENT_STORE_SEEDS_H
#define CONTENT_STORE_SEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/assemble.h"
#include "content/store.h"

#define STORE_SEEDS_MAX 16 /* each is looked through while chunks are missing */

/* The trees of the store that may hold some of a version's bytes, best ones first. */
struct store_seeds {
	struct assemble_seed *list; /* for assemble_params */
	size_t count;
};

/*
 * Collect up to STORE_SEEDS_MAX for `id`: other versions of its package, newest first, complete or
 * not (patches start from complete ones), then other packages, most recently used first. `id`
 * itself is left out. Nothing is pinned: a seed that is removed meanwhile costs bytes.
 */
bool store_seeds_init(struct store_seeds *out, struct store *store, const struct store_id *id,
		      struct err *err) MUST_USE;
void store_seeds_release(struct store_seeds *seeds);
SCOPED_RELEASE(store_seeds);

#endif
