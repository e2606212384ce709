#include "support/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content/tree.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

/* A manifest that no reader would let through: the tree has to stand up for itself. */
static struct manifest *forged(const char *path, enum manifest_type type)
{
	struct manifest *m = manifest_new();
	struct manifest_entry e = {
		.path = path,
		.type = (uint8_t)type,
		.mode = 0755,
		.size = type == MANIFEST_FILE ? 4 : 0,
		.target = type == MANIFEST_LINK ? "/etc/passwd" : NULL,
		.same_as = MANIFEST_NOT_SAME,
	};
	struct digest id;

	digest_of(&id, span_of_text("evil"));
	manifest_add_entry(m, &e);
	if (type == MANIFEST_FILE)
		manifest_add_chunk(m, &id, 4);
	return m;
}

static void evil_names_never_leave_the_tree(void **state UNUSED)
{
	static const struct {
		const char *why, *path;
	} names[] = {
		{ "the parent", "../outside" },
		{ "a detour", "a/../../outside" },
		{ "an absolute name", "/tmp/packway-test-outside" },
		{ "a link on the way", "exit/outside" },
		{ "the root itself", "." },
		{ "nothing", "" },
	};

	for (size_t i = 0; i < COUNT_OF(names) * 3; i++) {
		enum manifest_type type = (enum manifest_type)(i % 3);
		const char *path = names[i / 3].path;
		char *top = tempdir_make("tree");
		SCOPED_TEXT char *root = path_join(top, "tree");
		SCOPED_TEXT char *exit_link = path_join(root, "exit");
		SCOPED_TEXT char *outside = path_join(top, "outside");
		SCOPED(manifest) struct manifest *m = forged(path, type);
		struct tree t;
		struct err err = { 0 };
		bool done = tree_create(&t, root, m, &err);

		if (done) {
			SCOPED(tree_files) struct tree_files files;

			assert_int_equal(symlink("..", exit_link), 0);
			tree_files_init(&files, &t);
			if (type == MANIFEST_FILE)
				done = tree_write(&files, 0, span_of_text("evil"), &err);
			done = done && tree_complete(&t, &err);
			tree_close(&t);
		}
		if (done || path_exists(outside) || path_exists("/tmp/packway-test-outside"))
			fail_msg("%s was followed (type %d)", names[i / 3].why, (int)type);
		tempdir_remove(top);
	}
}

static void what_does_not_belong_is_removed_before_building(void **state UNUSED)
{
	static const struct fakefile files[] = {
		{ .path = "dir", .is_dir = true, .mode = 0555 },
		{ .path = "dir/file", .seed = 1, .size = 5000 },
	};
	char *top = tempdir_make("tree");
	SCOPED_TEXT char *root = path_join(top, "tree");
	SCOPED_TEXT char *victim = path_join(top, "victim");
	SCOPED_TEXT char *dir = path_join(root, "dir");
	SCOPED_TEXT char *stray = path_join(root, "stray/deep");
	struct fakedp dp = { 0 };
	struct fakeversion v;
	struct tree t;
	struct err err = { 0 };

	/* Where a folder should be there is a link that leads out. */
	fakedp_publish(&dp, &v, 1, files, COUNT_OF(files));
	assert_done(path_make_dirs(stray, 0700, &err), &err);
	assert_done(path_make_dirs(victim, 0700, &err), &err);
	assert_int_equal(symlink("../victim", dir), 0);
	assert_done(tree_create(&t, root, v.parsed, &err), &err);
	assert_false(t.made_empty);
	assert_false(path_exists(stray));
	{
		SCOPED(tree_files) struct tree_files open;

		tree_files_init(&open, &t);
		assert_done(tree_write(&open, 0, buf_span(&v.stream), &err), &err);
	}
	assert_done(tree_complete(&t, &err), &err);
	assert_int_equal(rmdir(victim), 0); /* still empty */
	tree_close(&t);
	fakeversion_release(&v);
	fakedp_release(&dp);
	tempdir_remove(top);
}

static void a_short_or_foreign_file_does_not_read(void **state UNUSED)
{
	static const struct fakefile files[] = { { .path = "file", .seed = 1, .size = 5000 } };
	char *top = tempdir_make("tree");
	SCOPED_TEXT char *root = path_join(top, "tree");
	SCOPED_TEXT char *path = path_join(root, "file");
	uint8_t bytes[5000];
	struct fakedp dp = { 0 };
	struct fakeversion v;
	struct tree t;
	struct err err = { 0 };

	fakedp_publish(&dp, &v, 1, files, COUNT_OF(files));
	assert_done(tree_create(&t, root, v.parsed, &err), &err);
	for (int i = 0; i < 3; i++) {
		SCOPED(tree_files) struct tree_files open;

		tree_files_init(&open, &t);
		if (i == 0) {
			assert_false(tree_read(bytes, &open, 0, 5000)); /* missing */
			assert_done(tree_write(&open, 0, buf_span(&v.stream), &err), &err);
			assert_true(tree_read(bytes, &open, 0, 5000));
			assert_memory_equal(bytes, v.stream.data, 5000);
			assert_int_equal(truncate(path, 4999), 0);
		} else if (i == 1) {
			assert_false(tree_read(bytes, &open, 0, 5000)); /* short */
			assert_true(tree_read(bytes, &open, 0, 4999));
			assert_int_equal(unlink(path), 0);
			assert_int_equal(mkfifo(path, 0600), 0);
		} else {
			assert_false(tree_read(bytes, &open, 0, 5000)); /* would block for ever */
		}
	}
	tree_close(&t);
	fakeversion_release(&v);
	fakedp_release(&dp);
	tempdir_remove(top);
}

TESTING_MAIN(cmocka_unit_test(evil_names_never_leave_the_tree),
	     cmocka_unit_test(what_does_not_belong_is_removed_before_building),
	     cmocka_unit_test(a_short_or_foreign_file_does_not_read))
