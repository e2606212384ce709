/* One store, two accounts: one downloads, the owner keeps. Root's tests: others have one account.
 */
#include "support/testing.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/newfile.h"
#include "content/store.h"
#include "content/store_seeds.h"
#include "support/tempdir.h"

#define OTHER_ID 64123
#define LONG_S   1000000

struct bench {
	char *dir;
	char *locks;
	struct store *store; /* the keeper's */
	struct store_id id;
};

/* The folders as root hands them out, and a handle of the keeper's. */
static void set_up(struct bench *b)
{
	SCOPED_TEXT char *partial = NULL;
	struct err err = { 0 };

	if (geteuid() != 0)
		skip();
	*b = (struct bench){ .dir = tempdir_make("store-parts") };
	assert_true(store_id_make(&b->id, "LON00001", 1));
	b->locks = path_join(b->dir, "locks");
	partial = path_join(b->dir, "partial");
	assert_int_equal(chmod(b->dir, 0711), 0);
	assert_int_equal(mkdir(b->locks, 0700), 0);
	assert_int_equal(mkdir(partial, 0770), 0);
	assert_int_equal(chown(partial, OTHER_ID, 0), 0);
	assert_done(store_open(&b->store, b->dir, clock_system(), &err), &err);
}

static void tear_down(struct bench *b)
{
	store_close(b->store);
	free(b->locks);
	tempdir_remove(b->dir);
}

static void put(const char *folder, const char *name, size_t size, uid_t owner)
{
	SCOPED_TEXT char *path = path_join(folder, name);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err = { 0 };

	memset(buf_reserve(&bytes, size), 'x', size);
	buf_grew(&bytes, size);
	assert_done(newfile_write(path, 0600, buf_span(&bytes), &err), &err);
	assert_int_equal(chown(path, owner, owner), 0);
}

/* A folder with a manifest and a tree of one file. */
static void fill(const char *folder, uid_t owner)
{
	SCOPED_TEXT char *tree = path_join(folder, "tree");
	struct err err = { 0 };

	assert_done(path_make_dirs(tree, 0700, &err), &err);
	put(tree, "file", 100000, owner);
	put(folder, "manifest", 8, owner);
	assert_int_equal(chown(tree, owner, owner), 0);
	assert_int_equal(chown(folder, owner, owner), 0);
}

/* What a supplier leaves: a patch and an index, closed to all others. */
static void supply(struct bench *b, const struct store_id *id)
{
	SCOPED_TEXT char *partial = store_partial_path(b->store, id);
	struct err err = { 0 };

	assert_done(path_make_dirs(partial, 0700, &err), &err);
	put(partial, "patch-0123", 200000, OTHER_ID);
	assert_int_equal(chown(partial, OTHER_ID, OTHER_ID), 0);
}

static void build(struct bench *b, const struct store_id *id)
{
	SCOPED_TEXT char *built = store_build_path(b->store, id);

	fill(built, 0);
}

static void commit(struct bench *b, const struct store_id *id)
{
	struct err err = { 0 };

	build(b, id);
	assert_done(store_commit(b->store, id, 100, &err), &err);
	assert_true(store_holds(b->store, id));
}

/* Under its final name stands what another account made. */
static void plant(struct bench *b)
{
	SCOPED_TEXT char *package = path_join(b->dir, b->id.package);
	SCOPED_TEXT char *spare = path_join(b->dir, "spare");
	SCOPED_TEXT char *from = path_join(spare, "tree");
	SCOPED_TEXT char *tree = store_tree_path(b->store, &b->id);
	struct err err = { 0 };

	fill(spare, OTHER_ID);
	assert_done(path_make_dirs(package, 0755, &err), &err);
	assert_int_equal(rename(from, tree), 0);
	assert_done(path_remove_tree(spare, &err), &err);
}

/* Become the account that downloads, which may still read what is root's, as the sandbox has it. */
static bool become_supplier(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };

	sets[0].permitted = sets[0].effective = 1u << CAP_DAC_READ_SEARCH;
	return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresgid(OTHER_ID, OTHER_ID, OTHER_ID) == 0 &&
	       setresuid(OTHER_ID, OTHER_ID, OTHER_ID) == 0 &&
	       syscall(SYS_capset, &header, sets) == 0;
}

/* In a child of the supplier's account: `attempt` returns what it should not have been, or 0. */
static void as_supplier(struct bench *b, int (*attempt)(struct store *store, struct bench *b))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct store *store;
		struct err err;

		if (!become_supplier() || !store_open(&store, b->dir, clock_system(), &err))
			_exit(100);
		_exit(attempt(store, b));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int be_supplier(struct store *store, struct bench *b UNUSED)
{
	return store_part(store) != STORE_SUPPLIER;
}

static void the_folders_say_who_is_what(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *partial = NULL;
	SCOPED_TEXT char *own = NULL;
	struct store *one;
	struct err err = { 0 };

	set_up(&b);
	assert_int_equal(store_part(b.store), STORE_KEEPER);
	as_supplier(&b, be_supplier);
	partial = path_join(b.dir, "partial");
	assert_int_equal(chown(partial, 0, 0), 0);
	assert_done(store_open(&one, b.dir, clock_system(), &err), &err);
	assert_int_equal(store_part(one), STORE_ALL);
	/* Then there is one folder to build in. */
	own = store_build_path(one, &b.id);
	assert_memory_equal(own, partial, strlen(partial));
	store_close(one);
	tear_down(&b);
}

static int reach_nothing(struct store *store, struct bench *b)
{
	SCOPED_TEXT char *built = store_build_path(store, &b->id);
	SCOPED_TEXT char *inner = path_join(built, "tree/file");
	SCOPED_TEXT char *lock = path_join(b->locks, "LON00001-1");
	SCOPED_TEXT char *fresh = path_join(b->locks, "LON00009-1");
	SCOPED_TEXT char *tree = store_tree_path(store, &b->id);
	struct err err;
	int fd;

	return (mkdir(tree, 0700) == 0) + (rename(built, tree) == 0) + (unlink(inner) == 0) +
	       (open(inner, O_WRONLY) >= 0) + (open(lock, O_RDWR) >= 0) +
	       (open(fresh, O_RDWR | O_CREAT, 0600) >= 0) + (unlink(lock) == 0) +
	       store_lock(&fd, store, &b->id, 0, &err);
}

static void what_is_being_built_is_the_keepers_alone(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *building = NULL;
	struct err err = { 0 };
	struct stat st;
	int lock;

	set_up(&b);
	building = path_join(b.dir, "building");
	assert_done(store_lock(&lock, b.store, &b.id, 0, &err), &err);
	build(&b, &b.id);
	assert_int_equal(lstat(building, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	as_supplier(&b, reach_nothing);
	close(lock);
	tear_down(&b);
}

static void a_commit_clears_up_in_both_folders(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *built = NULL;
	SCOPED_TEXT char *partial = NULL;

	set_up(&b);
	built = store_build_path(b.store, &b.id);
	partial = store_partial_path(b.store, &b.id);
	supply(&b, &b.id);
	commit(&b, &b.id);
	assert_false(path_exists(built));
	assert_false(path_exists(partial));
	tear_down(&b);
}

static int read_it(struct store *store, struct bench *b)
{
	SCOPED_TEXT char *tree = store_tree_path(store, &b->id);
	SCOPED_TEXT char *file = path_join(tree, "file");
	struct store_item *items;
	struct err err;
	size_t count;

	return !store_holds(store, &b->id) + (open(file, O_RDONLY) < 0) +
	       !(store_list(&items, &count, store, &err) && count == 1 && items[0].complete) +
	       (open(file, O_WRONLY) >= 0) + (unlink(file) == 0) + (chmod(file, 0666) == 0);
}

static int remove_it(struct store *store, struct bench *b)
{
	struct err err;

	store_sweep_partial(store, -LONG_S, &(struct store_id){ "LON00009", 9 });
	return store_remove(store, &b->id, &err) + store_make_room(store, 1, 1, NULL, &err);
}

static void a_supplier_reads_what_is_kept_and_removes_nothing(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	commit(&b, &b.id);
	as_supplier(&b, read_it);
	as_supplier(&b, remove_it);
	assert_true(store_holds(b.store, &b.id));
	tear_down(&b);
}

static void what_another_account_made_does_not_count(void **state UNUSED)
{
	struct bench b;
	struct store_item *items;
	struct err err = { 0 };
	size_t count;
	int pin;

	set_up(&b);
	plant(&b);
	assert_true(store_stands(b.store, &b.id));
	assert_false(store_holds(b.store, &b.id));
	assert_false(store_pin(&pin, b.store, &b.id, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 1);
	assert_false(items[0].complete);
	free(items);
	assert_done(store_remove(b.store, &b.id, &err), &err);
	assert_false(store_stands(b.store, &b.id));
	tear_down(&b);
}

/* Somebody may have its files open, and write to them whatever their owner is then. */
static void what_another_account_made_is_not_gone_on_with(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *built = NULL;
	struct err err = { 0 };

	set_up(&b);
	built = store_build_path(b.store, &b.id);
	plant(&b);
	assert_done(store_reopen(b.store, &b.id, &err), &err);
	assert_false(store_stands(b.store, &b.id));
	assert_false(path_exists(built));
	assert_false(store_reopen(b.store, &b.id, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	tear_down(&b);
}

static void what_is_the_keepers_is_gone_on_with_where_it_builds(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *built = NULL;
	SCOPED_TEXT char *file = NULL;
	struct err err = { 0 };

	set_up(&b);
	built = store_build_path(b.store, &b.id);
	file = path_join(built, "tree/file");
	commit(&b, &b.id);
	assert_done(store_reopen(b.store, &b.id, &err), &err);
	assert_false(store_stands(b.store, &b.id));
	assert_true(path_exists(file));
	assert_done(store_commit(b.store, &b.id, 100, &err), &err);
	tear_down(&b);
}

/* 100,000 bytes of one account's and 200,000 of the other's. */
static void a_version_under_construction_is_one_with_both_folders(void **state UNUSED)
{
	const struct store_id second = { "LON00002", 2 };
	struct bench b;
	struct store_item *items;
	struct err err = { 0 };
	size_t count;
	uint64_t usage;

	set_up(&b);
	build(&b, &b.id);
	supply(&b, &b.id);
	supply(&b, &second);
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 2);
	assert_false(items[0].complete || items[1].complete);
	assert_in_range(items[0].bytes, 300000, 400000);
	assert_in_range(items[1].bytes, 200000, 250000);
	assert_done(store_usage(&usage, b.store, &err), &err);
	assert_int_equal(usage, items[0].bytes + items[1].bytes);
	free(items);
	tear_down(&b);
}

static void room_is_made_in_both_folders(void **state UNUSED)
{
	const struct store_id second = { "LON00002", 2 };
	const struct store_id coming = { "LON00003", 1 };
	struct bench b;
	SCOPED_TEXT char *built = NULL;
	SCOPED_TEXT char *partial = NULL;
	SCOPED_TEXT char *others = NULL;
	struct err err = { 0 };
	int lock;

	set_up(&b);
	built = store_build_path(b.store, &b.id);
	partial = store_partial_path(b.store, &b.id);
	others = store_partial_path(b.store, &second);
	build(&b, &b.id);
	supply(&b, &b.id);
	supply(&b, &second);
	assert_done(store_lock(&lock, b.store, &second, 0, &err), &err);
	assert_done(store_make_room(b.store, 300000, 1, &coming, &err), &err);
	assert_false(path_exists(built));
	assert_false(path_exists(partial));
	assert_true(path_exists(others)); /* somebody is at it */
	close(lock);
	assert_done(store_make_room(b.store, 300000, 300000, &coming, &err), &err);
	assert_false(path_exists(others));
	tear_down(&b);
}

static void downloads_that_nobody_went_on_with_go_from_both(void **state UNUSED)
{
	const struct store_id mine = { "LON00002", 2 };
	struct bench b;
	SCOPED_TEXT char *built = NULL;
	SCOPED_TEXT char *partial = NULL;
	SCOPED_TEXT char *kept = NULL;

	set_up(&b);
	built = store_build_path(b.store, &b.id);
	partial = store_partial_path(b.store, &b.id);
	kept = store_build_path(b.store, &mine);
	build(&b, &b.id);
	supply(&b, &b.id);
	build(&b, &mine);
	store_sweep_partial(b.store, LONG_S, &mine);
	assert_true(path_exists(built));
	store_sweep_partial(b.store, -LONG_S, &mine);
	assert_false(path_exists(built));
	assert_false(path_exists(partial));
	assert_true(path_exists(kept));
	tear_down(&b);
}

static void an_interrupted_removal_is_finished_where_it_began(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *gone = NULL;
	SCOPED_TEXT char *others = NULL;
	struct err err = { 0 };

	set_up(&b);
	gone = path_join(b.dir, "building/gone-0123");
	others = path_join(b.dir, "partial/gone-0123");
	fill(gone, 0);
	fill(others, OTHER_ID);
	store_close(b.store);
	assert_done(store_open(&b.store, b.dir, clock_system(), &err), &err);
	assert_false(path_exists(gone));
	as_supplier(&b, be_supplier);
	assert_false(path_exists(others));
	tear_down(&b);
}

/* Whatever a supplier puts there: what is removed is the name, not what it leads to. */
static void a_removal_follows_no_link_of_the_suppliers(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *partial = NULL;
	SCOPED_TEXT char *inner = NULL;
	SCOPED_TEXT char *outside = NULL;
	SCOPED_TEXT char *file = NULL;
	struct err err = { 0 };

	set_up(&b);
	partial = store_partial_path(b.store, &b.id);
	inner = path_join(partial, "link");
	outside = path_join(b.dir, "outside");
	file = path_join(outside, "tree/file");
	fill(outside, 0);
	assert_int_equal(symlink(outside, partial), 0);
	commit(&b, &b.id);
	assert_false(path_exists(partial));
	assert_true(path_exists(file));
	supply(&b, &b.id);
	assert_int_equal(symlink(outside, inner), 0);
	assert_int_equal(chmod(partial, 0), 0);
	assert_done(store_remove(b.store, &b.id, &err), &err);
	assert_false(path_exists(partial));
	assert_true(path_exists(file));
	tear_down(&b);
}

static void seeds_are_what_the_keeper_has(void **state UNUSED)
{
	const struct store_id half = { "LON00001", 2 };
	const struct store_id coming = { "LON00001", 3 };
	struct bench b;
	SCOPED_TEXT char *built = NULL;
	SCOPED(store_seeds) struct store_seeds seeds = { 0 };
	struct err err = { 0 };

	set_up(&b);
	commit(&b, &b.id);
	build(&b, &half);
	supply(&b, &half);
	built = store_build_path(b.store, &half);
	assert_done(store_seeds_init(&seeds, b.store, &coming, &err), &err);
	assert_int_equal(seeds.count, 2);
	assert_memory_equal(seeds.list[0].tree, built, strlen(built));
	assert_true(path_exists(seeds.list[0].tree));
	assert_true(path_exists(seeds.list[1].tree));
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(the_folders_say_who_is_what),
	     cmocka_unit_test(what_is_being_built_is_the_keepers_alone),
	     cmocka_unit_test(a_commit_clears_up_in_both_folders),
	     cmocka_unit_test(a_supplier_reads_what_is_kept_and_removes_nothing),
	     cmocka_unit_test(what_another_account_made_does_not_count),
	     cmocka_unit_test(what_another_account_made_is_not_gone_on_with),
	     cmocka_unit_test(what_is_the_keepers_is_gone_on_with_where_it_builds),
	     cmocka_unit_test(a_version_under_construction_is_one_with_both_folders),
	     cmocka_unit_test(room_is_made_in_both_folders),
	     cmocka_unit_test(downloads_that_nobody_went_on_with_go_from_both),
	     cmocka_unit_test(an_interrupted_removal_is_finished_where_it_began),
	     cmocka_unit_test(a_removal_follows_no_link_of_the_suppliers),
	     cmocka_unit_test(seeds_are_what_the_keeper_has))
