#include "content/store_take.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/store_work.h"
#include "content/takeover.h"

#define FREE_WAIT_MS 2000 /* for who is in what is replaced */

/* As versions before left it: finished, and its builder's. It comes before what stands half-built.
 */
static bool take_finished(const struct store *store, const struct store_id *id, const char *taking,
			  struct err *err)
{
	SCOPED_TEXT char *tree = store_tree_path(store, id);
	SCOPED_TEXT char *manifest = store_manifest_path(store, id);
	SCOPED_TEXT char *to_tree = path_join(taking, "tree");
	SCOPED_TEXT char *to_manifest = path_join(taking, "manifest");

	if (path_exists(to_tree) && !store_work_discard(store, taking, err))
		return false;
	if (!path_make_dirs(taking, STORE_WORK_CLOSED, err))
		return false;
	if (rename(manifest, to_manifest) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "move %s to %s", manifest, to_manifest);
	return store_work_move(tree, to_tree, err);
}

static bool move_in(const struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_TEXT char *taking = store_taking_path(store, id);
	SCOPED_TEXT char *partial = store_partial_path(store, id);

	if (store_stands(store, id) && !store_holds(store, id))
		return take_finished(store, id, taking, err);
	if (path_exists(taking) || rename(partial, taking) == 0)
		return true;
	if (errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "move %s to %s", partial, taking);
	return err_set(err, ERR_NOT_FOUND, "%s version %" PRIu32 " is not under construction",
		       id->package, id->version);
}

bool store_take_begin(int *lock_out, struct store *store, const struct store_id *id,
		      uint32_t wait_ms, struct err *err)
{
	SCOPED_FD int builders = -1;

	assert(store->part == STORE_KEEPER);
	/* In this order: whoever is between begin and end may need the builder's lock once more. */
	if (!store_work_lock_taking(lock_out, store, id, wait_ms, err))
		return false;
	if (store_lock(&builders, store, id, wait_ms, err) && move_in(store, id, err))
		return true;
	path_close_fd(lock_out);
	return false;
}

bool store_take_end(struct store *store, const struct store_id *id, struct span manifest,
		    uint64_t bytes, struct err *err)
{
	SCOPED_TEXT char *taking = store_taking_path(store, id);
	SCOPED_TEXT char *file = path_join(taking, "manifest");
	SCOPED_TEXT char *tree = store_tree_path(store, id);
	SCOPED_FD int unused = -1;

	/* Nobody may be in what it replaces. The file is made anew: the one there may be held open.
	 */
	return (!store_stands(store, id) || store_lock(&unused, store, id, FREE_WAIT_MS, err)) &&
	       newfile_write(file, 0644, manifest, err) && store_work_discard(store, tree, err) &&
	       store_work_show(store, id, taking, bytes, err);
}

bool store_take_back(struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_TEXT char *taking = store_taking_path(store, id);
	SCOPED_TEXT char *partial = store_partial_path(store, id);
	struct err why = { 0 };

	if (takeover_give_back(taking, store->builder, &why) && rename(taking, partial) == 0)
		return true;
	log_debug("%s goes: %s", taking, why.why);
	return store_work_discard(store, taking, err);
}

static void give_back_one(struct store *store, const struct store_id *id)
{
	SCOPED_FD int lock = -1;
	struct err err = { 0 };

	if (!store_work_lock_taking(&lock, store, id, 0, &err) || !store_take_back(store, id, &err))
		log_debug("%s-%" PRIu32 " stays on its way: %s", id->package, id->version, err.why);
}

void store_take_back_others(struct store *store, const struct store_id *but)
{
	struct store_work_items list = { 0 };
	struct err ignored = { 0 };

	if (!store_work_list(&list, store, store->taking, &ignored))
		list.count = 0;
	for (size_t i = 0; i < list.count; i++)
		if (!store_id_equal(&list.items[i].id, but) && !list.items[i].in_use)
			give_back_one(store, &list.items[i].id);
	free(list.items);
}
