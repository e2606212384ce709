#include "support/testing.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content/assemble.h"
#include "content/check.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

static const struct fakefile files[] = {
	{ .path = "dir", .is_dir = true },
	{ .path = "dir/big", .seed = 1, .size = 2000000 },
	{ .path = "dir/big-copy", .seed = 1, .size = 2000000 },
	{ .path = "dir/link", .target = "big" },
	{ .path = "small-1", .seed = 2, .size = 1000 },
	{ .path = "small-2", .seed = 3, .size = 1000 },
	{ .path = "tool", .seed = 4, .size = 700000, .mode = 0755 },
};

struct bench {
	char *top;
	char *tree;
	struct fakedp dp;
	struct fakeversion v;
	struct check found;
};

static void set_up(struct bench *b)
{
	SCOPED_TEXT char *dir = NULL;

	*b = (struct bench){ .top = tempdir_make("check") };
	fakedp_publish(&b->dp, &b->v, 1, files, COUNT_OF(files));
	dir = path_join(b->top, "work");
	b->tree = path_join(dir, "tree");
	fakedp_assemble(&b->dp, &b->v, dir);
}

static void tear_down(struct bench *b)
{
	tempdir_remove(b->top);
	free(b->tree);
	check_release(&b->found);
	fakedp_release(&b->dp);
	fakeversion_release(&b->v);
}

static void run_check(struct bench *b)
{
	struct err err = { 0 };

	assert_done(check_tree(&b->found, b->tree, b->v.parsed, NULL, &err), &err);
}

static void an_untouched_tree_is_fine(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	run_check(&b);
	assert_int_equal(b.found.total, 0);
	assert_int_equal(b.found.bytes, manifest_tree_size(b.v.parsed));
	tear_down(&b);
}

static int flip(const char *path, off_t at)
{
	SCOPED_FD int fd = open(path, O_RDWR);
	uint8_t byte;

	if (pread(fd, &byte, 1, at) != 1)
		return -1;
	byte ^= 1;
	return pwrite(fd, &byte, 1, at) == 1 ? 0 : -1;
}

static int flip_in_the_middle(const char *path)
{
	return flip(path, 400000);
}

static int flip_small(const char *path)
{
	return flip(path, 500);
}

static int cut(const char *path)
{
	return truncate(path, 999);
}

static int open_up(const char *path)
{
	return chmod(path, 0777);
}

static int set_uid(const char *path)
{
	return chmod(path, 04755);
}

static int add(const char *path)
{
	return mkdir(path, 0700);
}

static int redirect(const char *path)
{
	return unlink(path) != 0 ? -1 : symlink("/etc/passwd", path);
}

/* One damage each, and what has to be said of it. */
static const struct {
	const char *why, *path;
	int (*damage)(const char *path);
	enum check_kind want;
	const char *also; /* a path that is suspected too, or NULL */
} damages[] = {
	{ "a flipped bit in a large file", "dir/big", flip_in_the_middle, CHECK_CHANGED,
	  "dir/big-copy" },
	{ "a flipped bit in a copy of a file", "dir/big-copy", flip_in_the_middle, CHECK_CHANGED,
	  NULL },
	{ "a flipped bit in a small file", "small-1", flip_small, CHECK_SUSPECT, "small-2" },
	{ "a file cut short", "tool", cut, CHECK_CHANGED, NULL },
	{ "a removed file", "tool", unlink, CHECK_MISSING, NULL },
	{ "a file anybody may write", "tool", open_up, CHECK_MODE, NULL },
	{ "a file with the set-user bit", "tool", set_uid, CHECK_MODE, NULL },
	{ "a folder anybody may write", "dir", open_up, CHECK_MODE, NULL },
	{ "a file that became a link", "tool", redirect, CHECK_TYPE, NULL },
	{ "a link that leads elsewhere", "dir/link", redirect, CHECK_TARGET, NULL },
	{ "a folder that was added", "dir/new", add, CHECK_EXTRA, NULL },
	{ "a name with control characters", "\x1b[31m", add, CHECK_EXTRA, NULL },
};

static enum check_kind kind_of(const struct check *c, const char *path)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].path, path) == 0)
			return c->items[i].kind;
	return CHECK_FINE;
}

static void each_damage_is_named(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(damages); i++) {
		struct bench b;
		SCOPED_TEXT char *path = NULL;

		set_up(&b);
		path = path_join(b.tree, damages[i].path);
		assert_int_equal(damages[i].damage(path), 0);
		run_check(&b);
		if (kind_of(&b.found, damages[i].path) != damages[i].want)
			fail_msg("%s: found %s", damages[i].why,
				 check_kind_name(kind_of(&b.found, damages[i].path)));
		if (damages[i].also != NULL && kind_of(&b.found, damages[i].also) != CHECK_SUSPECT)
			fail_msg("%s: %s is not suspected", damages[i].why, damages[i].also);
		tear_down(&b);
	}
}

static void a_cancelled_check_says_so(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	const atomic_bool cancel = true;

	set_up(&b);
	assert_false(check_tree(&b.found, b.tree, b.v.parsed, &cancel, &err));
	assert_int_equal(err.code, ERR_INTERRUPTED);
	tear_down(&b);
}

static void a_missing_tree_is_not_found(void **state UNUSED)
{
	struct bench b;
	struct err err = { 0 };
	SCOPED_TEXT char *nowhere = NULL;

	set_up(&b);
	nowhere = path_join(b.top, "nowhere");
	assert_false(check_tree(&b.found, nowhere, b.v.parsed, NULL, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(an_untouched_tree_is_fine), cmocka_unit_test(each_damage_is_named),
	     cmocka_unit_test(a_cancelled_check_says_so),
	     cmocka_unit_test(a_missing_tree_is_not_found))
