/* A version passes from the account that has built it to the store's owner. Root's tests: others
 * have one account. */
#include "support/testing.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/newfile.h"
#include "content/store_take.h"
#include "content/takeover.h"
#include "support/tempdir.h"

#define OTHER_ID 64123

struct bench {
	char *dir;
	struct store *store;
	struct store_id id;
};

static void give(const char *path)
{
	struct err err = { 0 };

	assert_done(takeover_give_back(path, OTHER_ID, &err), &err);
}

/* The folders as root hands them out, and a handle of the keeper's. */
static void set_up(struct bench *b)
{
	SCOPED_TEXT char *partial = NULL;
	struct err err = { 0 };

	*b = (struct bench){ .dir = tempdir_make("store-take") };
	assert_true(store_id_make(&b->id, "LON00001", 1));
	partial = path_join(b->dir, "partial");
	assert_int_equal(mkdir(partial, 0770), 0);
	if (geteuid() == 0)
		give(partial);
	assert_done(store_open(&b->store, b->dir, clock_system(), &err), &err);
}

static void tear_down(struct bench *b)
{
	store_close(b->store);
	tempdir_remove(b->dir);
}

static void put(const char *folder, const char *name, const char *text)
{
	SCOPED_TEXT char *path = path_join(folder, name);
	struct err err = { 0 };

	assert_done(newfile_write(path, 0644, span_of_text(text), &err), &err);
}

/* `folder` with a tree of one file, and a manifest: the other account's. */
static void build(const char *folder, const char *text)
{
	SCOPED_TEXT char *tree = path_join(folder, "tree");
	struct err err = { 0 };

	assert_done(path_make_dirs(tree, 0755, &err), &err);
	put(tree, "file", text);
	put(folder, "manifest", "manifest");
	give(folder);
}

static void build_partial(struct bench *b, const char *text)
{
	SCOPED_TEXT char *partial = store_partial_path(b->store, &b->id);

	build(partial, text);
}

/* As a version before left it. */
static void build_finished(struct bench *b, const char *text)
{
	SCOPED_TEXT char *spare = path_join(b->dir, "spare");
	SCOPED_TEXT char *built = path_join(spare, "tree");
	SCOPED_TEXT char *manifest = path_join(spare, "manifest");
	SCOPED_TEXT char *tree = store_tree_path(b->store, &b->id);
	SCOPED_TEXT char *to = store_manifest_path(b->store, &b->id);
	SCOPED_TEXT char *package = path_join(b->dir, b->id.package);

	build(spare, text);
	assert_int_equal(mkdir(package, 0755), 0);
	assert_int_equal(rename(built, tree), 0);
	assert_int_equal(rename(manifest, to), 0);
	assert_int_equal(rmdir(spare), 0);
}

static void begin(struct bench *b, int *lock)
{
	struct err err = { 0 };

	assert_done(store_take_begin(lock, b->store, &b->id, 0, &err), &err);
	assert_true(store_is_taken(b->store, &b->id));
	assert_false(store_holds(b->store, &b->id));
}

/* What takeover_tree does for a real one. */
static void own_tree(struct bench *b)
{
	SCOPED_TEXT char *taking = store_taking_path(b->store, &b->id);
	SCOPED_TEXT char *tree = path_join(taking, "tree");
	struct err err = { 0 };

	assert_done(takeover_folder(taking, 0700, &err), &err);
	assert_done(takeover_folder(tree, 0755, &err), &err);
}

static void end(struct bench *b)
{
	struct err err = { 0 };

	own_tree(b);
	assert_done(store_take_end(b->store, &b->id, span_of_text("manifest"), 4, &err), &err);
	assert_true(store_holds_exactly(b->store, &b->id, span_of_text("manifest")));
	assert_false(store_is_taken(b->store, &b->id));
}

static void assert_file(struct bench *b, char *folder, const char *below, const char *text)
{
	SCOPED_TEXT char *at = folder;
	SCOPED_TEXT char *path = path_join(at, below);
	SCOPED(buf) struct buf got = { 0 };
	struct err err = { 0 };

	(void)b;
	assert_done(path_read(&got, path, 100, &err), &err);
	assert_true(span_equal_text(buf_span(&got), text));
}

static void one_account_keeps_what_it_builds(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	assert_int_equal(store_part(b.store), geteuid() == 0 ? STORE_KEEPER : STORE_ALL);
	tear_down(&b);
}

static void what_was_built_gets_its_final_name_at_the_end(void **state UNUSED)
{
	struct bench b;
	int lock;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_partial(&b, "text");
	begin(&b, &lock);
	end(&b);
	close(lock);
	assert_file(&b, store_tree_path(b.store, &b.id), "file", "text");
	tear_down(&b);
}

static void a_begin_without_an_end_is_gone_on_with(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	int lock, again;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_partial(&b, "text");
	begin(&b, &lock);
	assert_false(store_take_begin(&again, b.store, &b.id, 0, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	close(lock);
	begin(&b, &lock);
	end(&b);
	close(lock);
	tear_down(&b);
}

static void what_is_not_right_is_its_builders_again(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *partial = NULL;
	struct err err = { 0 };
	struct stat st;
	int lock;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_partial(&b, "text");
	begin(&b, &lock);
	own_tree(&b);
	assert_done(store_take_back(b.store, &b.id, &err), &err);
	close(lock);
	assert_false(store_is_taken(b.store, &b.id));
	partial = store_partial_path(b.store, &b.id);
	assert_int_equal(lstat(partial, &st), 0);
	assert_int_equal(st.st_uid, OTHER_ID);
	assert_file(&b, store_partial_path(b.store, &b.id), "tree/file", "text");
	/* Others that were left on their way go back, too. */
	begin(&b, &lock);
	close(lock);
	store_take_back_others(b.store, &(struct store_id){ "LON00002", 1 });
	assert_false(store_is_taken(b.store, &b.id));
	tear_down(&b);
}

static void a_tree_of_before_does_not_count_and_is_taken_where_it_stands(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	int lock;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_finished(&b, "of before");
	build_partial(&b, "half built");
	assert_false(store_holds(b.store, &b.id));
	assert_true(store_is_taken(b.store, &b.id));
	assert_false(store_pin(&lock, b.store, &b.id, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	begin(&b, &lock);
	end(&b);
	close(lock);
	assert_file(&b, store_tree_path(b.store, &b.id), "file", "of before");
	tear_down(&b);
}

/* Another keeper, which waits for the version; it may be killed. */
static pid_t start_another(const struct bench *b)
{
	struct store *store;
	struct err err = { 0 };
	pid_t pid = fork();
	int lock;

	if (pid != 0)
		return pid;
	if (store_open(&store, b->dir, clock_system(), &err))
		(void)!store_take_begin(&lock, store, &b->id, 60000, &err);
	_exit(0);
}

static void who_waits_for_a_version_does_not_hold_up_who_takes_it(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	pid_t waiting;
	int lock;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_partial(&b, "first");
	begin(&b, &lock);
	end(&b);
	close(lock);
	/* Something stands, so that the end needs the builder's lock. */
	build_partial(&b, "second");
	assert_done(store_take_begin(&lock, b.store, &b.id, 0, &err), &err);
	own_tree(&b);
	waiting = start_another(&b);
	usleep(300000); /* enough for it to wait; less proves nothing, and fails nothing */
	assert_done(store_take_end(b.store, &b.id, span_of_text("manifest"), 6, &err), &err);
	close(lock);
	(void)kill(waiting, SIGKILL);
	assert_int_equal(waitpid(waiting, NULL, 0), waiting);
	tear_down(&b);
}

static void what_is_being_taken_is_not_removed(void **state UNUSED)
{
	struct bench b;
	struct store_item *items;
	struct err err = { 0 };
	size_t count;
	int lock;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_partial(&b, "text");
	begin(&b, &lock);
	assert_false(store_remove(b.store, &b.id, &err));
	assert_int_equal(err.code, ERR_IN_USE);
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 1);
	assert_true(items[0].in_use);
	free(items);
	end(&b);
	close(lock);
	assert_done(store_remove(b.store, &b.id, &err), &err);
	assert_false(store_stands(b.store, &b.id));
	tear_down(&b);
}

static void what_is_in_use_is_not_replaced(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	int lock, pin;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	build_partial(&b, "first");
	begin(&b, &lock);
	end(&b);
	close(lock);
	build_partial(&b, "second");
	assert_done(store_take_begin(&lock, b.store, &b.id, 0, &err), &err);
	own_tree(&b);
	assert_done(store_pin(&pin, b.store, &b.id, &err), &err);
	assert_false(store_take_end(b.store, &b.id, span_of_text("manifest"), 6, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	assert_file(&b, store_tree_path(b.store, &b.id), "file", "first");
	close(pin);
	assert_done(store_take_end(b.store, &b.id, span_of_text("manifest"), 6, &err), &err);
	assert_file(&b, store_tree_path(b.store, &b.id), "file", "second");
	close(lock);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(one_account_keeps_what_it_builds),
	     cmocka_unit_test(what_was_built_gets_its_final_name_at_the_end),
	     cmocka_unit_test(a_begin_without_an_end_is_gone_on_with),
	     cmocka_unit_test(what_is_not_right_is_its_builders_again),
	     cmocka_unit_test(a_tree_of_before_does_not_count_and_is_taken_where_it_stands),
	     cmocka_unit_test(who_waits_for_a_version_does_not_hold_up_who_takes_it),
	     cmocka_unit_test(what_is_being_taken_is_not_removed),
	     cmocka_unit_test(what_is_in_use_is_not_replaced))
