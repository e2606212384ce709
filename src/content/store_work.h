/* What the parts of the store share; for store*.c alone. */
#ifndef CONTENT_STORE_WORK_H
#define CONTENT_STORE_WORK_H

#include <sys/types.h>

#include "content/store.h"

#define STORE_WORK_CLOSED 0700

struct store {
	char *dir;
	char *partial;
	char *locks;
	char *taking; /* made by whoever hands out the store's folders; unused by STORE_ALL */
	uid_t owner;  /* of what is finished */
	uid_t builder;
	enum store_part part;
	const struct clock *clock;
};

struct store_work_items {
	struct store_item *items;
	size_t count;
};

/*
 * The keeper's lock of a version: the builder's is a file that the builder may replace, this one is
 * not. Who needs both takes this one first.
 */
bool store_work_lock_taking(int *fd_out, const struct store *store, const struct store_id *id,
			    uint32_t wait_ms, struct err *err) MUST_USE;

bool store_work_move(const char *from, const char *to, struct err *err) MUST_USE;

/* Out of sight by one rename, then deleted at leisure; a kill in between leaves it to the sweep. */
bool store_work_discard(const struct store *store, const char *path, struct err *err) MUST_USE;

/* The folder `built` has manifest and tree, whole: they get their final names, and it goes. */
bool store_work_show(const struct store *store, const struct store_id *id, const char *built,
		     uint64_t bytes, struct err *err) MUST_USE;

/* The versions under construction that have a folder in `folder`, each once. */
bool store_work_list(struct store_work_items *list, struct store *store, const char *folder,
		     struct err *err) MUST_USE;

#endif
