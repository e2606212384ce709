#include "support/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/store.h"
#include "content/store_seeds.h"
#include "support/tempdir.h"

/* A clock that the test sets. */
static int64_t test_wall_s(void *ctx)
{
	return *(int64_t *)ctx;
}

static uint64_t test_mono_ms(void *ctx UNUSED)
{
	return 0;
}

struct bench {
	char *dir;
	struct store *store;
	int64_t now_s;
	struct clock clock;
};

static void set_up(struct bench *b)
{
	struct err err = { 0 };

	*b = (struct bench){ .dir = tempdir_make("store"), .now_s = 1000 };
	b->clock = (struct clock){ test_wall_s, test_mono_ms, &b->now_s };
	assert_done(store_open(&b->store, b->dir, &b->clock, &err), &err);
}

static void tear_down(struct bench *b)
{
	store_close(b->store);
	tempdir_remove(b->dir);
}

static struct store_id id_of(const char *package, uint32_t version)
{
	struct store_id id;

	assert_true(store_id_make(&id, package, version));
	return id;
}

/* Put a version under construction, with one file and a folder without write permission. */
static void build(struct bench *b, const struct store_id *id)
{
	SCOPED_TEXT char *partial = store_partial_path(b->store, id);
	SCOPED_TEXT char *folder = path_join(partial, "tree/closed");
	SCOPED_TEXT char *file = path_join(folder, "file");
	SCOPED_TEXT char *manifest = path_join(partial, "manifest");
	struct err err = { 0 };

	assert_done(path_make_dirs(folder, 0755, &err), &err);
	assert_done(newfile_write(file, 0644, span_of_text("content"), &err), &err);
	assert_done(newfile_write(manifest, 0600, span_of_text("manifest"), &err), &err);
	assert_int_equal(chmod(folder, 0555), 0);
}

/* Make a complete version that was used at `used_s`. */
static struct store_id add(struct bench *b, const char *package, uint32_t version, uint64_t bytes,
			   int64_t used_s)
{
	struct store_id id = id_of(package, version);
	struct err err = { 0 };

	build(b, &id);
	b->now_s = used_s;
	assert_done(store_commit(b->store, &id, bytes, &err), &err);
	return id;
}

static void only_ids_of_packages_name_versions(void **state UNUSED)
{
	static const struct {
		const char *why, *package;
		uint64_t version;
		bool fine;
	} names[] = {
		{ "a package id", "LON00001", 1, true },
		{ "version 0 is none", "LON00001", 0, false },
		{ "a version beyond 32 bits", "LON00001", (uint64_t)1 << 32, false },
		{ "a way out", "../../..", 1, false },
		{ "the folder of partial versions", "partial", 1, false },
	};
	struct store_id id;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (store_id_make(&id, names[i].package, names[i].version) != names[i].fine)
			fail_msg("%s", names[i].why);
}

static void a_version_appears_by_its_commit(void **state UNUSED)
{
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	struct err err = { 0 };
	int pin;

	set_up(&b);
	build(&b, &id);
	assert_false(store_holds(b.store, &id));
	assert_false(store_pin(&pin, b.store, &id, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_done(store_commit(b.store, &id, 7, &err), &err);
	assert_true(store_holds(b.store, &id));
	SCOPED_TEXT char *tree = store_tree_path(b.store, &id);
	SCOPED_TEXT char *file = path_join(tree, "closed/file");
	SCOPED_TEXT char *manifest = store_manifest_path(b.store, &id);
	SCOPED_TEXT char *partial = store_partial_path(b.store, &id);

	assert_true(path_exists(file));
	assert_true(path_exists(manifest));
	assert_false(path_exists(partial));
	tear_down(&b);
}

/* The record of LON00001 version 3 as `text` with `zeros` bytes behind it; NULL: none. */
static void leave_record(const struct bench *b, const char *text, size_t zeros)
{
	SCOPED_TEXT char *path = alloc_printf("%s/LON00001/3.record", b->dir);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err = { 0 };

	(void)unlink(path);
	if (text == NULL)
		return;
	buf_put(&bytes, text, strlen(text));
	for (size_t i = 0; i < zeros; i++)
		buf_put_u8(&bytes, 0);
	assert_done(newfile_write(path, 0644, buf_span(&bytes), &err), &err);
}

/* What stands in the record of a version that was shown early, and then. */
static void a_version_that_is_not_flushed_counts_until_the_next_boot(void **state UNUSED)
{
	static const struct {
		const char *why, *record;
		bool holds;
		size_t zeros; /* behind it */
	} cases[] = {
		{ "flushed", "packway-store 1 bytes 7\n", true },
		{ "another boot", "packway-store 1 bytes 7\nunflushed 0123\n", false },
		{ "a boot that nobody knows", "packway-store 1 bytes 7\nunflushed \n", false },
		{ "half a line", "packway-store 1 bytes 7\nunflu", false },
		{ "not even the first", "packway-store 1 byt", false },
		{ "zeros behind it", "packway-store 1 bytes 7\n", false, 1 },
		{ "something else", "packway-store 1 bytes 7\nwhatever\n", false },
		{ "nothing", "", false },
		{ "no record", NULL, false },
	};
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	struct err err = { 0 };
	int record;

	set_up(&b);
	build(&b, &id);
	assert_done(store_commit_early(&record, b.store, &id, 7, &err), &err);
	assert_true(store_holds(b.store, &id));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		leave_record(&b, cases[i].record, cases[i].zeros);
		if (store_holds(b.store, &id) != cases[i].holds)
			fail_msg("%s", cases[i].why);
	}
	close(record);
	tear_down(&b);
}

static void a_flush_makes_it_count_for_good(void **state UNUSED)
{
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	SCOPED(buf) struct buf text = { 0 };
	struct store_item *items;
	struct err err = { 0 };
	size_t count;
	int record;

	set_up(&b);
	build(&b, &id);
	b.now_s = 5000;
	assert_done(store_commit_early(&record, b.store, &id, 7, &err), &err);
	b.now_s = 9000;
	assert_done(store_settle(b.store, &id, record, &err), &err);
	SCOPED_TEXT char *path = alloc_printf("%s/LON00001/3.record", b.dir);

	assert_done(path_read(&text, path, 100, &err), &err);
	assert_string_equal(buf_text(&text), "packway-store 1 bytes 7\n");
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 1);
	assert_int_equal(items[0].bytes, 7);
	assert_int_equal(items[0].last_used_s, 5000);
	free(items);
	store_doubt(record);
	assert_false(store_holds(b.store, &id));
	close(record);
	tear_down(&b);
}

/* The flush of one that is gone, or was built again since, says nothing of what stands there now.
 */
static void a_late_flush_touches_no_other_version(void **state UNUSED)
{
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	SCOPED(buf) struct buf text = { 0 };
	struct err err = { 0 };
	int first, second;

	set_up(&b);
	build(&b, &id);
	assert_done(store_commit_early(&first, b.store, &id, 7, &err), &err);
	assert_done(store_remove(b.store, &id, &err), &err);
	SCOPED_TEXT char *folder = path_join(b.dir, "LON00001");
	SCOPED_TEXT char *path = path_join(folder, "3.record");

	assert_false(store_settle(b.store, &id, first, &err));
	assert_false(path_exists(folder));
	build(&b, &id);
	assert_done(store_commit_early(&second, b.store, &id, 7, &err), &err);
	assert_done(store_settle(b.store, &id, first, &err), &err);
	store_doubt(first);
	assert_true(store_holds(b.store, &id));
	assert_done(path_read(&text, path, 100, &err), &err);
	assert_non_null(strstr(buf_text(&text), "\nunflushed "));
	close(first);
	close(second);
	tear_down(&b);
}

static void what_does_not_count_is_taken_back_whole(void **state UNUSED)
{
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	struct err err = { 0 };
	struct store_item *items;
	size_t count;
	int record;

	set_up(&b);
	build(&b, &id);
	assert_done(store_commit_early(&record, b.store, &id, 7, &err), &err);
	store_doubt(record);
	close(record);
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 1);
	assert_false(items[0].complete);
	assert_true(items[0].bytes > 0); /* what its files take: the record is lost */
	free(items);
	assert_done(store_reopen(b.store, &id, &err), &err);
	SCOPED_TEXT char *built = store_build_path(b.store, &id);
	SCOPED_TEXT char *file = path_join(built, "tree/closed/file");
	SCOPED_TEXT char *manifest = path_join(built, "manifest");

	assert_true(path_exists(file));
	assert_true(path_exists(manifest));
	assert_done(store_commit_early(&record, b.store, &id, 7, &err), &err);
	assert_true(store_holds(b.store, &id));
	close(record);
	tear_down(&b);
}

/* Killed between the two: a record without a tree means nothing. */
static void a_left_over_record_is_in_nobodys_way(void **state UNUSED)
{
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	struct err err = { 0 };
	int record;

	set_up(&b);
	add(&b, "LON00001", 2, 5, 1000);
	SCOPED_TEXT char *path = alloc_printf("%s/LON00001/3.record", b.dir);

	assert_done(newfile_write(path, 0644, span_of_text("packway-store 1 bytes 99\n"), &err),
		    &err);
	assert_false(store_holds(b.store, &id));
	build(&b, &id);
	assert_done(store_commit_early(&record, b.store, &id, 7, &err), &err);
	assert_true(store_holds(b.store, &id));
	close(record);
	tear_down(&b);
}

static void room_is_made_of_what_a_power_cut_left(void **state UNUSED)
{
	struct bench b;
	struct store_id id = id_of("LON00001", 3);
	struct err err = { 0 };
	int record;

	set_up(&b);
	build(&b, &id);
	assert_done(store_commit_early(&record, b.store, &id, 7, &err), &err);
	store_doubt(record);
	close(record);
	assert_done(store_make_room(b.store, 1000, 1000, NULL, &err), &err);
	assert_false(store_stands(b.store, &id));
	tear_down(&b);
}

static void a_list_tells_size_and_use(void **state UNUSED)
{
	struct bench b;
	struct store_id half = id_of("LON00002", 9);
	struct store_item *items;
	struct err err = { 0 };
	size_t count;
	uint64_t usage;

	set_up(&b);
	add(&b, "LON00001", 10, 500, 2000);
	add(&b, "LON00001", 9, 300, 3000);
	build(&b, &half);
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 3);
	assert_int_equal(items[0].id.version, 9);
	assert_int_equal(items[0].bytes, 300);
	assert_int_equal(items[0].last_used_s, 3000);
	assert_true(items[0].complete);
	assert_int_equal(items[1].id.version, 10);
	assert_false(items[2].complete);
	assert_true(items[2].bytes > 0);
	assert_done(store_usage(&usage, b.store, &err), &err);
	assert_int_equal(usage, 800 + items[2].bytes);
	free(items);
	tear_down(&b);
}

static void strange_names_are_passed_over(void **state UNUSED)
{
	static const char *const names[] = {
		"LON00001", "LON00001/x",      "LON00001/007",
		"notes",    "partial/notes-1", "LON00001/99999999999"
	};
	struct bench b;
	struct store_item *items;
	struct err err = { 0 };
	size_t count;

	set_up(&b);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_TEXT char *path = path_join(b.dir, names[i]);

		assert_done(path_make_dirs(path, 0700, &err), &err);
	}
	assert_done(store_list(&items, &count, b.store, &err), &err);
	assert_int_equal(count, 0);
	free(items);
	tear_down(&b);
}

/* Q184489, Q202063: content in use is not pulled away from under a program. */
static void a_pinned_version_is_not_removed(void **state UNUSED)
{
	struct bench b;
	struct store_id id;
	struct err err = { 0 };
	int pin, second;

	set_up(&b);
	id = add(&b, "LON00001", 1, 100, 2000);
	assert_done(store_pin(&pin, b.store, &id, &err), &err);
	assert_done(store_pin(&second, b.store, &id, &err), &err);
	assert_false(store_remove(b.store, &id, &err));
	assert_int_equal(err.code, ERR_IN_USE);
	assert_false(store_make_room(b.store, 100, 100, NULL, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	close(pin);
	assert_false(store_remove(b.store, &id, &err));
	close(second);
	assert_done(store_remove(b.store, &id, &err), &err);
	assert_false(store_holds(b.store, &id));
	tear_down(&b);
}

static void a_pin_ends_with_its_process(void **state UNUSED)
{
	struct bench b;
	struct store_id id;
	struct err err = { 0 };
	int pin;
	pid_t child;

	set_up(&b);
	id = add(&b, "LON00001", 1, 100, 2000);
	child = fork();
	if (child == 0) {
		bool pinned = store_pin(&pin, b.store, &id, &err);

		raise(pinned ? SIGKILL : SIGTERM);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_done(store_remove(b.store, &id, &err), &err);
	tear_down(&b);
}

static void the_least_recently_used_goes_first(void **state UNUSED)
{
	struct bench b;
	struct store_id old, young, used, mine, coming;
	struct err err = { 0 };
	int pin;

	set_up(&b);
	old = add(&b, "LON00001", 1, 100, 2000);
	used = add(&b, "LON00002", 1, 100, 1000);
	young = add(&b, "LON00003", 1, 100, 3000);
	mine = add(&b, "LON00004", 1, 100, 500);
	coming = id_of("LON00004", 2);
	b.now_s = 4000; /* a pin counts as use */
	assert_done(store_pin(&pin, b.store, &used, &err), &err);
	close(pin);

	assert_done(store_make_room(b.store, 400, 100, &coming, &err), &err);
	assert_false(store_holds(b.store, &old));
	assert_true(store_holds(b.store, &used));
	assert_true(store_holds(b.store, &young));

	/* What the update draws on goes last, however long ago it was used. */
	assert_done(store_make_room(b.store, 200, 100, &coming, &err), &err);
	assert_false(store_holds(b.store, &used));
	assert_true(store_holds(b.store, &mine));
	assert_done(store_make_room(b.store, 0, 1000000, &coming, &err), &err);
	tear_down(&b);
}

/* However old what is left over is: the version was used. */
static void a_left_over_goes_with_its_version(void **state UNUSED)
{
	struct bench b;
	struct store_id twice, old;
	struct err err = { 0 };
	SCOPED_TEXT char *left = NULL;
	SCOPED_TEXT char *file = NULL;
	const struct timespec times[2] = { { .tv_sec = 500 }, { .tv_sec = 500 } };
	struct stat st;
	uint64_t room;

	set_up(&b);
	twice = add(&b, "LON00001", 1, 100, 3000);
	old = add(&b, "LON00002", 1, 100, 1000);
	left = store_partial_path(b.store, &twice);
	file = path_join(left, "rest");
	assert_done(path_make_dirs(left, 0700, &err), &err);
	assert_done(newfile_write(file, 0600, span_of_text("rest"), &err), &err);
	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
	assert_int_equal(stat(file, &st), 0);
	room = 200 + (uint64_t)st.st_blocks * 512;
	assert_done(store_make_room(b.store, room, 100, NULL, &err), &err);
	assert_true(store_holds(b.store, &twice));
	assert_false(store_holds(b.store, &old));
	assert_done(store_make_room(b.store, 100, 100, NULL, &err), &err);
	assert_false(store_holds(b.store, &twice));
	assert_false(path_exists(left));
	tear_down(&b);
}

static void nothing_is_removed_in_vain(void **state UNUSED)
{
	struct bench b;
	struct store_id id;
	struct err err = { 0 };

	set_up(&b);
	id = add(&b, "LON00001", 1, 100, 2000);
	assert_false(store_make_room(b.store, 500, 501, NULL, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(store_holds(b.store, &id));
	tear_down(&b);
}

static void an_interrupted_removal_is_finished(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	SCOPED_TEXT char *gone = NULL;

	set_up(&b);
	gone = path_join(b.dir, "partial/gone-0123/tree");
	assert_done(path_make_dirs(gone, 0700, &err), &err);
	store_close(b.store);
	assert_done(store_open(&b.store, b.dir, &b.clock, &err), &err);
	assert_false(path_exists(gone));
	tear_down(&b);
}

static void a_version_can_be_taken_back_under_construction(void **state UNUSED)
{
	struct bench b;
	struct store_id id;
	struct err err = { 0 };

	set_up(&b);
	id = add(&b, "LON00001", 1, 100, 2000);
	assert_done(store_reopen(b.store, &id, &err), &err);
	assert_false(store_holds(b.store, &id));
	assert_done(store_commit(b.store, &id, 100, &err), &err);
	assert_true(store_holds(b.store, &id));
	tear_down(&b);
}

static void seeds_come_best_first(void **state UNUSED)
{
	static const char *const want[] = { "LON00002/5", "partial/LON00002-4/tree", "LON00002/1",
					    "LON00003/1", "LON00001/1" };
	struct bench b;
	struct store_id coming, half = id_of("LON00002", 4);
	struct err err = { 0 };
	SCOPED(store_seeds) struct store_seeds seeds = { 0 };

	set_up(&b);
	add(&b, "LON00001", 1, 100, 2000);
	add(&b, "LON00002", 1, 100, 9000);
	add(&b, "LON00002", 5, 100, 1000);
	add(&b, "LON00003", 1, 100, 3000);
	build(&b, &half);
	coming = id_of("LON00002", 6);
	build(&b, &coming);
	assert_done(store_seeds_init(&seeds, b.store, &coming, &err), &err);
	assert_int_equal(seeds.count, COUNT_OF(want));
	for (size_t i = 0; i < seeds.count; i++) {
		SCOPED_TEXT char *tree = path_join(b.dir, want[i]);

		assert_string_equal(seeds.list[i].tree, tree);
		assert_true(path_exists(seeds.list[i].manifest));
	}
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(seeds_come_best_first),
	     cmocka_unit_test(only_ids_of_packages_name_versions),
	     cmocka_unit_test(a_version_appears_by_its_commit),
	     cmocka_unit_test(a_version_that_is_not_flushed_counts_until_the_next_boot),
	     cmocka_unit_test(a_flush_makes_it_count_for_good),
	     cmocka_unit_test(a_late_flush_touches_no_other_version),
	     cmocka_unit_test(what_does_not_count_is_taken_back_whole),
	     cmocka_unit_test(a_left_over_record_is_in_nobodys_way),
	     cmocka_unit_test(room_is_made_of_what_a_power_cut_left),
	     cmocka_unit_test(a_list_tells_size_and_use),
	     cmocka_unit_test(strange_names_are_passed_over),
	     cmocka_unit_test(a_pinned_version_is_not_removed),
	     cmocka_unit_test(a_pin_ends_with_its_process),
	     cmocka_unit_test(the_least_recently_used_goes_first),
	     cmocka_unit_test(a_left_over_goes_with_its_version),
	     cmocka_unit_test(nothing_is_removed_in_vain),
	     cmocka_unit_test(an_interrupted_removal_is_finished),
	     cmocka_unit_test(a_version_can_be_taken_back_under_construction))
