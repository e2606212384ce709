#include "content/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "content/manifest.h"
#include "content/storerecord.h"

#define FOLDER_MODE    0755 /* programs of other accounts read their content here */
#define CLOSED_MODE    0700
#define GONE_PREFIX    "gone-"
#define PIN_WAIT_MS    2000
#define PARTIAL_KEEP_S (14 * 86400) /* downloads that nobody went on with */

struct store {
	char *dir;
	char *partial;
	char *locks;
	char *building; /* STORE_KEEPER's */
	uid_t owner;    /* of all but `partial` */
	enum store_part part;
	const struct clock *clock;
};

struct items {
	struct store_item *items;
	size_t count;
};

bool store_id_make(struct store_id *out, const char *package, uint64_t version)
{
	if (!text_is_object_id(package) || version == 0 || version > STORE_VERSION_MAX)
		return false;
	*out = (struct store_id){ .version = (uint32_t)version };
	memcpy(out->package, package, STORE_PACKAGE_SIZE);
	return true;
}

bool store_id_equal(const struct store_id *a, const struct store_id *b)
{
	return a->version == b->version && strcmp(a->package, b->package) == 0;
}

/* The id that a version folder's parent and name spell, or false. */
static bool parse_id(struct store_id *out, const char *package, const char *version)
{
	uint64_t number;

	return text_u64(&number, version, 1, STORE_VERSION_MAX) && version[0] != '0' &&
	       store_id_make(out, package, number);
}

static char *path_in(const struct store *store, const struct store_id *id, const char *suffix)
{
	return alloc_printf("%s/%s/%" PRIu32 "%s", store->dir, id->package, id->version, suffix);
}

char *store_tree_path(const struct store *store, const struct store_id *id)
{
	return path_in(store, id, "");
}

char *store_manifest_path(const struct store *store, const struct store_id *id)
{
	return path_in(store, id, ".manifest");
}

static char *record_path(const struct store *store, const struct store_id *id)
{
	return path_in(store, id, ".record");
}

char *store_partial_path(const struct store *store, const struct store_id *id)
{
	return alloc_printf("%s/%s-%" PRIu32, store->partial, id->package, id->version);
}

char *store_build_path(const struct store *store, const struct store_id *id)
{
	if (store->part == STORE_ALL)
		return store_partial_path(store, id);
	return alloc_printf("%s/%s-%" PRIu32, store->building, id->package, id->version);
}

static char *lock_path(const struct store *store, const struct store_id *id)
{
	return alloc_printf("%s/%s-%" PRIu32, store->locks, id->package, id->version);
}

/* Where this process may do as it likes, and no other account comes between its steps. */
static const char *own_folder(const struct store *store)
{
	return store->part == STORE_KEEPER ? store->building : store->partial;
}

/* A new name there, for what is about to be deleted. */
static char *gone_path(const struct store *store)
{
	uint64_t salt;

	random_bytes(&salt, sizeof(salt));
	return alloc_printf("%s/" GONE_PREFIX "%016" PRIx64, own_folder(store), salt);
}

static void sweep_gone(const struct store *store)
{
	DIR *dir = opendir(own_folder(store));
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		SCOPED_TEXT char *path = path_join(own_folder(store), entry->d_name);
		struct err ignored = { 0 };

		/* A removal that fails again costs space, not the command. */
		if (strncmp(entry->d_name, GONE_PREFIX, strlen(GONE_PREFIX)) == 0)
			(void)path_remove_tree(path, &ignored);
	}
	closedir(dir);
}

/* By whose the folders are: nothing else says which of the two this process is. */
static bool find_part(struct store *store, struct err *err)
{
	struct stat whole, partial;

	if (lstat(store->dir, &whole) != 0 || lstat(store->partial, &partial) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", store->dir);
	store->owner = whole.st_uid;
	store->part = store->owner == partial.st_uid ? STORE_ALL
		      : store->owner == geteuid()    ? STORE_KEEPER
						     : STORE_SUPPLIER;
	return true;
}

bool store_open(struct store **out, const char *dir, const struct clock *clock, struct err *err)
{
	struct store *store = alloc_zeroed(1, sizeof(*store));

	store->dir = alloc_text(dir);
	store->partial = path_join(dir, "partial");
	store->locks = path_join(dir, "locks");
	store->building = path_join(dir, "building");
	store->clock = clock;
	if (!path_make_dirs(dir, FOLDER_MODE, err) ||
	    !path_make_dirs(store->partial, CLOSED_MODE, err) ||
	    !path_make_dirs(store->locks, CLOSED_MODE, err) || !find_part(store, err)) {
		store_close(store);
		return false;
	}
	if (store->part == STORE_KEEPER && !path_make_dirs(store->building, CLOSED_MODE, err)) {
		store_close(store);
		return false;
	}
	sweep_gone(store);
	*out = store;
	return true;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	free(store->dir);
	free(store->partial);
	free(store->locks);
	free(store->building);
	free(store);
}

enum store_part store_part(const struct store *store)
{
	return store->part;
}

bool store_stands(const struct store *store, const struct store_id *id)
{
	SCOPED_TEXT char *tree = store_tree_path(store, id);

	return path_exists(tree);
}

/* Something stands there that its owner has put together, whatever became of it since. */
static bool is_owners(const struct store *store, const struct store_id *id)
{
	SCOPED_TEXT char *tree = store_tree_path(store, id);
	struct stat st;

	return lstat(tree, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == store->owner;
}

bool store_holds(const struct store *store, const struct store_id *id)
{
	SCOPED_TEXT char *path = record_path(store, id);
	struct storerecord record;

	return is_owners(store, id) && storerecord_read(&record, path) && record.counts;
}

bool store_holds_exactly(const struct store *store, const struct store_id *id, struct span manifest)
{
	SCOPED_TEXT char *path = store_manifest_path(store, id);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err ignored;

	return store_holds(store, id) && path_read(&bytes, path, MANIFEST_BYTES_MAX, &ignored) &&
	       span_equal(buf_span(&bytes), manifest);
}

bool store_lock(int *fd_out, struct store *store, const struct store_id *id, uint32_t wait_ms,
		struct err *err)
{
	SCOPED_TEXT char *path = lock_path(store, id);

	return path_lock(fd_out, path, wait_ms, err);
}

/* A record's modification time is when its version was used last. */
static void note_use(const struct store *store, const struct store_id *id)
{
	SCOPED_TEXT char *path = record_path(store, id);
	time_t now = (time_t)clock_wall_s(store->clock);
	struct timespec times[2] = { { .tv_sec = now }, { .tv_sec = now } };

	/* A store that cannot be written any more still serves what it has. */
	(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

bool store_pin(int *fd_out, struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_TEXT char *path = lock_path(store, id);
	int fd;

	if (!path_lock_shared(&fd, path, PIN_WAIT_MS, err))
		return false;
	if (!store_holds(store, id)) {
		close(fd);
		return err_set(err, ERR_NOT_FOUND, "%s version %" PRIu32 " is not in the store",
			       id->package, id->version);
	}
	note_use(store, id);
	*fd_out = fd;
	return true;
}

static bool move(const char *from, const char *to, struct err *err)
{
	if (rename(from, to) != 0)
		return err_sys(err, ERR_IO, errno, "move %s to %s", from, to);
	return true;
}

static bool discard(const struct store *store, const char *path, struct err *err);

/* What a failed removal leaves is a few small files; the version is complete all the same. */
static void clear_up(const struct store *store, const struct store_id *id)
{
	SCOPED_TEXT char *built = store_build_path(store, id);
	SCOPED_TEXT char *partial = store_partial_path(store, id);
	struct err ignored = { 0 };

	(void)path_remove_tree(built, &ignored);
	if (store->part == STORE_KEEPER)
		(void)discard(store, partial, &ignored);
}

/* Manifest and tree to their names, the tree last: once it is there, the version is. */
static bool show(struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_TEXT char *built = store_build_path(store, id);
	SCOPED_TEXT char *built_tree = path_join(built, "tree");
	SCOPED_TEXT char *built_manifest = path_join(built, "manifest");
	SCOPED_TEXT char *tree = store_tree_path(store, id);
	SCOPED_TEXT char *manifest = store_manifest_path(store, id);

	note_use(store, id);
	return move(built_manifest, manifest, err) && move(built_tree, tree, err);
}

bool store_commit(struct store *store, const struct store_id *id, uint64_t bytes, struct err *err)
{
	SCOPED_TEXT char *folder = path_join(store->dir, id->package);
	SCOPED_TEXT char *record = record_path(store, id);

	assert(store->part != STORE_SUPPLIER);
	if (!path_make_dirs(folder, FOLDER_MODE, err) || !storerecord_write(record, bytes, err) ||
	    !show(store, id, err) || !path_sync_dir(folder, err))
		return false;
	clear_up(store, id);
	return true;
}

bool store_commit_early(int *record_out, struct store *store, const struct store_id *id,
			uint64_t bytes, struct err *err)
{
	SCOPED_TEXT char *folder = path_join(store->dir, id->package);
	SCOPED_TEXT char *record = record_path(store, id);
	SCOPED_FD int fd = -1;
	bool is_new = !path_exists(folder); /* then there is nothing to remove, nor to flush */

	assert(store->part != STORE_SUPPLIER);
	/* One that calls another tree flushed must not come back after a power cut. */
	if (!path_make_dirs(folder, FOLDER_MODE, err) ||
	    (!is_new && !storerecord_remove(record, folder, err)) ||
	    !storerecord_begin(&fd, record, bytes, err) || !show(store, id, err))
		return false;
	clear_up(store, id);
	*record_out = fd;
	fd = -1;
	return true;
}

bool store_settle(struct store *store, const struct store_id *id, int record, struct err *err)
{
	SCOPED_TEXT char *folder = path_join(store->dir, id->package);

	return path_sync_dir(folder, err) && storerecord_settle(record, err);
}

void store_doubt(int record)
{
	storerecord_doubt(record);
}

bool store_reopen(struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_TEXT char *built = store_build_path(store, id);
	SCOPED_TEXT char *built_tree = path_join(built, "tree");
	SCOPED_TEXT char *built_manifest = path_join(built, "manifest");
	SCOPED_TEXT char *tree = store_tree_path(store, id);
	SCOPED_TEXT char *manifest = store_manifest_path(store, id);
	SCOPED_TEXT char *folder = path_join(store->dir, id->package);
	SCOPED_TEXT char *record = record_path(store, id);

	if (!store_stands(store, id))
		return err_set(err, ERR_NOT_FOUND, "%s version %" PRIu32 " is not in the store",
			       id->package, id->version);
	/* Somebody else may have its files open. */
	if (!is_owners(store, id))
		return discard(store, tree, err);
	if (!storerecord_remove(record, folder, err))
		return false;
	/* The tree first: from then on the version counts as incomplete. No journal: the assembler
	 * looks at everything that is there. */
	return path_remove_tree(built, err) && path_make_dirs(built, CLOSED_MODE, err) &&
	       move(tree, built_tree, err) && move(manifest, built_manifest, err);
}

/* Out of sight by one rename, then deleted at leisure; a kill in between leaves it to the sweep. */
static bool discard(const struct store *store, const char *path, struct err *err)
{
	SCOPED_TEXT char *gone = gone_path(store);

	if (rename(path, gone) != 0)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "remove %s", path);
	return path_remove_tree(gone, err);
}

static bool remove_locked(struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_TEXT char *folder = path_join(store->dir, id->package);
	SCOPED_TEXT char *tree = store_tree_path(store, id);
	SCOPED_TEXT char *manifest = store_manifest_path(store, id);
	SCOPED_TEXT char *record = record_path(store, id);
	SCOPED_TEXT char *partial = store_partial_path(store, id);
	SCOPED_TEXT char *built = store_build_path(store, id);

	if (!discard(store, tree, err) || !discard(store, partial, err) ||
	    !discard(store, built, err))
		return false;
	(void)unlink(manifest);
	if (!storerecord_remove(record, folder, err))
		return false;
	(void)rmdir(folder); /* goes with the package's last version */
	return true;
}

bool store_remove(struct store *store, const struct store_id *id, struct err *err)
{
	SCOPED_FD int lock = -1;

	if (!store_lock(&lock, store, id, 0, err)) {
		if (err->code != ERR_LOCKED)
			return false;
		return err_set(err, ERR_IN_USE, "%s version %" PRIu32 " is in use", id->package,
			       id->version);
	}
	return remove_locked(store, id, err);
}

/* A supplier has no part in locks. */
static bool is_in_use(struct store *store, const struct store_id *id)
{
	struct err ignored = { 0 };
	SCOPED_FD int lock = -1;

	return store->part != STORE_SUPPLIER && !store_lock(&lock, store, id, 0, &ignored);
}

/* What a version under construction takes on the disk, and when it last grew. */
static void measure_at(struct store_item *item, char *path)
{
	char *roots[] = { path, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *entry;

	while (walk != NULL && (entry = fts_read(walk)) != NULL) {
		if (entry->fts_info != FTS_F)
			continue;
		item->bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
		item->last_used_s = MAX_OF(item->last_used_s, entry->fts_statp->st_mtime);
	}
	if (walk != NULL)
		fts_close(walk);
}

/* By its record; a power cut may have left none to a tree that is there. */
static void measure_complete(struct store_item *item, const struct store *store)
{
	SCOPED_TEXT char *path = record_path(store, &item->id);
	SCOPED_TEXT char *tree = store_tree_path(store, &item->id);
	struct storerecord record;

	if (storerecord_read(&record, path)) {
		item->last_used_s = record.last_used_s;
		item->bytes = record.bytes;
	} else {
		measure_at(item, tree);
	}
}

static void measure_partial(struct store_item *item, const struct store *store)
{
	SCOPED_TEXT char *partial = store_partial_path(store, &item->id);
	SCOPED_TEXT char *built = store_build_path(store, &item->id);

	measure_at(item, partial);
	if (store->part == STORE_KEEPER)
		measure_at(item, built);
}

/* What stands under its final name and does not count has a record, too. */
static void add_item(struct items *list, struct store *store, const struct store_id *id,
		     bool complete)
{
	struct store_item item = { .id = *id, .complete = complete };

	if (complete || !store_holds(store, id))
		measure_complete(&item, store);
	if (!complete)
		measure_partial(&item, store);
	item.in_use = is_in_use(store, id);
	ALLOC_GROW(list->items, list->count);
	list->items[list->count++] = item;
}

static bool list_versions(struct items *list, struct store *store, const char *package,
			  struct err *err)
{
	SCOPED_TEXT char *folder = path_join(store->dir, package);
	DIR *dir = opendir(folder);
	struct dirent *entry;
	struct store_id id;

	if (dir == NULL)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "folder %s", folder);
	while ((entry = readdir(dir)) != NULL)
		if (parse_id(&id, package, entry->d_name) && store_stands(store, &id))
			add_item(list, store, &id, store_holds(store, &id));
	closedir(dir);
	return true;
}

static bool list_complete(struct items *list, struct store *store, struct err *err)
{
	DIR *dir = opendir(store->dir);
	struct dirent *entry;
	bool done = true;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", store->dir);
	while (done && (entry = readdir(dir)) != NULL)
		if (text_is_object_id(entry->d_name))
			done = list_versions(list, store, entry->d_name, err);
	closedir(dir);
	return done;
}

static bool has_incomplete(const struct items *list, const struct store_id *id)
{
	for (size_t i = 0; i < list->count; i++)
		if (!list->items[i].complete && store_id_equal(&list->items[i].id, id))
			return true;
	return false;
}

static bool list_folder(struct items *list, struct store *store, const char *folder,
			struct err *err)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	struct store_id id;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", folder);
	while ((entry = readdir(dir)) != NULL) {
		char *dash = strchr(entry->d_name, '-');

		if (dash == NULL)
			continue;
		*dash = '\0';
		if (parse_id(&id, entry->d_name, dash + 1) && !has_incomplete(list, &id))
			add_item(list, store, &id, false);
	}
	closedir(dir);
	return true;
}

/* A supplier may not list the other folder. */
static bool list_partial(struct items *list, struct store *store, struct err *err)
{
	return list_folder(list, store, store->partial, err) &&
	       (store->part != STORE_KEEPER || list_folder(list, store, store->building, err));
}

static int compare_items(const void *a, const void *b)
{
	const struct store_item *x = a, *y = b;
	int order = strcmp(x->id.package, y->id.package);

	if (order != 0)
		return order;
	if (x->id.version != y->id.version)
		return x->id.version < y->id.version ? -1 : 1;
	return (int)y->complete - (int)x->complete;
}

bool store_list(struct store_item **out, size_t *count_out, struct store *store, struct err *err)
{
	struct items list = { 0 };

	if (!list_complete(&list, store, err) || !list_partial(&list, store, err)) {
		free(list.items);
		return false;
	}
	if (list.count > 0)
		qsort(list.items, list.count, sizeof(*list.items), compare_items);
	*out = list.items;
	*count_out = list.count;
	return true;
}

void store_sweep_partial(struct store *store, int64_t keep_s, const struct store_id *keep)
{
	int64_t now_s = clock_wall_s(store->clock);
	struct items list = { 0 };
	struct err ignored = { 0 };

	if (!list_partial(&list, store, &ignored))
		list.count = 0;
	for (size_t i = 0; i < list.count; i++) {
		const struct store_item *it = &list.items[i];

		if (!it->in_use && !store_id_equal(&it->id, keep) &&
		    it->last_used_s < now_s - keep_s && !store_holds(store, &it->id))
			(void)!store_remove(store, &it->id, &ignored);
	}
	free(list.items);
}

static uint64_t sum_of(const struct store_item *items, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += items[i].bytes;
	return sum;
}

bool store_usage(uint64_t *bytes_out, struct store *store, struct err *err)
{
	struct store_item *items;
	size_t count;

	if (!store_list(&items, &count, store, err))
		return false;
	*bytes_out = sum_of(items, count);
	free(items);
	return true;
}

/* The next to go: the least recently used, versions of the kept package after all others. */
static struct store_item *pick_oldest(struct store_item *items, size_t count,
				      const struct store_id *keep)
{
	struct store_item *best = NULL;
	bool best_related = false;

	for (size_t i = 0; i < count; i++) {
		struct store_item *it = &items[i];
		bool related = keep != NULL && strcmp(it->id.package, keep->package) == 0;

		if (it->in_use || it->bytes == 0)
			continue;
		if (best == NULL || related < best_related ||
		    (related == best_related && it->last_used_s < best->last_used_s)) {
			best = it;
			best_related = related;
		}
	}
	return best;
}

static uint64_t removable_of(const struct store_item *items, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		if (!items[i].in_use)
			sum += items[i].bytes;
	return sum;
}

static bool refuse_quota(uint64_t quota, uint64_t need, uint64_t held, struct err *err)
{
	char want[32], have[32], limit[32];

	text_print_size(want, need);
	text_print_size(have, held);
	text_print_size(limit, quota);
	err_set(err, ERR_LIMIT, "%s do not fit: %s of the store's quota of %s are in use", want,
		have, limit);
	return err_fix(err, "raise the store's quota, or wait until running programs have ended");
}

static bool remove_until_fits(struct store *store, struct store_item *items, size_t count,
			      uint64_t quota, uint64_t need, const struct store_id *keep,
			      struct err *err)
{
	uint64_t used = sum_of(items, count);

	if (need > quota || used - removable_of(items, count) > quota - need)
		return refuse_quota(quota, need, used - removable_of(items, count), err);
	while (used > quota - need) {
		struct store_item *oldest = pick_oldest(items, count, keep);

		if (oldest == NULL)
			return refuse_quota(quota, need, used, err);
		/* Somebody may have pinned it since it was listed: then another one goes. */
		if (store_remove(store, &oldest->id, err))
			used -= oldest->bytes;
		else if (err->code != ERR_IN_USE)
			return false;
		oldest->bytes = 0;
	}
	err_clear(err);
	return true;
}

/* What is finished and what is left over beside it go together, and count as one: the first of the
 * rows of a version, which stand in line. */
static void join_rows(struct store_item *items, size_t count)
{
	struct store_item *first = items;

	for (size_t i = 1; i < count; i++) {
		if (!store_id_equal(&first->id, &items[i].id)) {
			first = &items[i];
			continue;
		}
		first->bytes += items[i].bytes;
		first->last_used_s = MAX_OF(first->last_used_s, items[i].last_used_s);
		first->in_use |= items[i].in_use;
		items[i].bytes = 0;
	}
}

/* `need` is all of what is kept: what stands of it already does not count twice. */
static bool list_others(struct store_item **out, size_t *count_out, struct store *store,
			const struct store_id *keep, struct err *err)
{
	if (!store_list(out, count_out, store, err))
		return false;
	join_rows(*out, *count_out);
	for (size_t i = 0; i < *count_out; i++)
		if (keep != NULL && store_id_equal(&(*out)[i].id, keep))
			(*out)[i].bytes = 0;
	return true;
}

bool store_make_room(struct store *store, uint64_t quota, uint64_t need,
		     const struct store_id *keep, struct err *err)
{
	struct store_item *items;
	size_t count;
	bool done;

	if (quota == 0)
		return true;
	if (!list_others(&items, &count, store, keep, err))
		return false;
	done = remove_until_fits(store, items, count, quota, need, keep, err);
	free(items);
	return done;
}

static bool has_it(struct store *store, const struct store_id *id,
		   const struct store_wanted *wanted)
{
	return !wanted->mends && store_holds_exactly(store, id, wanted->manifest);
}

static bool take_place(int *lock_out, struct store *store, const struct store_id *id,
		       const struct store_wanted *wanted, struct err *err)
{
	store_sweep_partial(store, PARTIAL_KEEP_S, id);
	return store_make_room(store, wanted->quota, wanted->bytes, id, err) &&
	       store_lock(lock_out, store, id, wanted->wait_ms, err);
}

enum store_begun store_begin(int *lock_out, struct store *store, const struct store_id *id,
			     const struct store_wanted *wanted, struct err *err)
{
	int lock = -1;
	enum store_begun begun = STORE_FAULT;

	assert(store->part != STORE_SUPPLIER);
	if (has_it(store, id, wanted))
		return STORE_HERE;
	if (!take_place(&lock, store, id, wanted, err))
		return STORE_FAULT;
	if (has_it(store, id, wanted))
		begun = STORE_HERE;
	else if (!store_stands(store, id) || store_reopen(store, id, err))
		begun = STORE_BEGUN;
	if (begun == STORE_BEGUN)
		*lock_out = lock;
	else
		path_close_fd(&lock);
	return begun;
}
