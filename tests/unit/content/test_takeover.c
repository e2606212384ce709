/* A tree that somebody else has built, with what they may have kept of it. */
#include "support/testing.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "content/assemble.h"
#include "content/check.h"
#include "content/store.h"
#include "content/takeover.h"
#include "support/fakedp.h"
#include "support/tempdir.h"

#define OTHER_ID 64123

static const struct fakefile files[] = {
	{ .path = "dir", .is_dir = true },
	{ .path = "dir/big", .seed = 1, .size = 700000 },
	{ .path = "dir/link", .target = "big" },
	{ .path = "empty", .seed = 3, .size = 0 },
	{ .path = "open", .seed = 5, .size = 1000, .mode = 0666 },
	{ .path = "shut", .is_dir = true, .mode = 0555 },
	{ .path = "shut/small", .seed = 2, .size = 1000 },
	{ .path = "tool", .seed = 4, .size = 5000, .mode = 0755 },
};

struct bench {
	char *top;
	char *dir; /* with manifest, tree and journal */
	char *tree;
	struct fakedp dp;
	struct fakeversion v;
};

static void set_up(struct bench *b)
{
	*b = (struct bench){ .top = tempdir_make("takeover") };
	fakedp_publish(&b->dp, &b->v, 1, files, COUNT_OF(files));
	b->dir = path_join(b->top, "work");
	b->tree = path_join(b->dir, "tree");
	fakedp_assemble(&b->dp, &b->v, b->dir);
}

static void tear_down(struct bench *b)
{
	tempdir_remove(b->top);
	free(b->dir);
	free(b->tree);
	fakedp_release(&b->dp);
	fakeversion_release(&b->v);
}

static int at(struct bench *b, const char *name, int flags)
{
	SCOPED_TEXT char *path = path_join(b->tree, name);

	return open(path, flags | O_CLOEXEC);
}

static struct stat stat_of(struct bench *b, const char *name)
{
	SCOPED_TEXT char *path = path_join(b->tree, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void assert_taken(struct bench *b)
{
	struct err err = { 0 };

	assert_int_equal(takeover_tree(b->dir, b->v.parsed, &err), TAKEOVER_DONE);
}

static void assert_right(struct bench *b)
{
	SCOPED(check) struct check found = { 0 };
	struct err err = { 0 };

	assert_done(check_tree(&found, b->tree, b->v.parsed, NULL, &err), &err);
	assert_int_equal(found.total, 0);
}

static void assert_refused(struct bench *b, const char *named)
{
	struct err err = { 0 };

	assert_int_equal(takeover_tree(b->dir, b->v.parsed, &err), TAKEOVER_CHANGED);
	assert_int_equal(err.code, ERR_CORRUPT);
	if (strstr(err.why, named) == NULL)
		fail_msg("%s is not in: %s", named, err.why);
}

static void what_nobody_holds_stays_where_it_is(void **state UNUSED)
{
	struct bench b;
	ino_t big, tool;

	set_up(&b);
	big = stat_of(&b, "dir/big").st_ino;
	tool = stat_of(&b, "tool").st_ino;
	assert_taken(&b);
	assert_right(&b);
	assert_int_equal(stat_of(&b, "dir/big").st_ino, big);
	assert_int_equal(stat_of(&b, "tool").st_ino, tool);
	/* Once more, as after a kill. */
	assert_taken(&b);
	assert_int_equal(stat_of(&b, "tool").st_ino, tool);
	tear_down(&b);
}

static void what_is_open_for_writing_is_copied(void **state UNUSED)
{
	struct bench b;
	int big, small;

	set_up(&b);
	big = at(&b, "dir/big", O_RDWR);
	small = at(&b, "shut/small", O_WRONLY);
	assert_true(big >= 0 && small >= 0);
	assert_taken(&b);
	assert_int_equal(pwrite(big, "evil", 4, 0), 4);
	assert_int_equal(pwrite(small, "evil", 4, 0), 4);
	assert_int_equal(ftruncate(big, 10), 0);
	assert_right(&b);
	close(big);
	close(small);
	tear_down(&b);
}

static void what_is_mapped_for_writing_is_copied(void **state UNUSED)
{
	struct bench b;
	char *map;
	int fd;

	set_up(&b);
	fd = at(&b, "tool", O_RDWR);
	map = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	close(fd);
	assert_taken(&b);
	memcpy(map, "evil", 4);
	assert_right(&b);
	munmap(map, 5000);
	tear_down(&b);
}

static void what_has_another_name_is_copied(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *other = NULL;
	SCOPED_TEXT char *tool = NULL;
	struct stat st;

	set_up(&b);
	other = path_join(b.top, "other-name");
	tool = path_join(b.tree, "tool");
	assert_int_equal(link(tool, other), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(other, OTHER_ID, OTHER_ID), 0);
	assert_taken(&b);
	assert_int_equal(lstat(other, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_uid, geteuid() == 0 ? OTHER_ID : geteuid());
	assert_int_equal(truncate(other, 1), 0);
	assert_right(&b);
	tear_down(&b);
}

static void what_everybody_could_write_nobody_else_can(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	assert_int_equal(stat_of(&b, "open").st_mode & 07777, 0666);
	assert_int_equal(chmod(b.tree, 0777), 0);
	assert_taken(&b);
	assert_int_equal(stat_of(&b, "open").st_mode & 07777, 0664);
	assert_int_equal(stat_of(&b, "").st_mode & 07777, 0755);
	assert_right(&b);
	tear_down(&b);
}

/* Version 2; then tag, permission and id of each: owner, one user, group, mask, others. */
static const uint8_t list_with_a_user[] = {
	2,  0, 0, 0,                       /**/
	1,  0, 7, 0, 255,  255,  255, 255, /**/
	2,  0, 7, 0, 0x7b, 0xfa, 0,   0,   /**/
	4,  0, 5, 0, 255,  255,  255, 255, /**/
	16, 0, 7, 0, 255,  255,  255, 255, /**/
	32, 0, 5, 0, 255,  255,  255, 255,
};

static void access_lists_go(void **state UNUSED)
{
	static const char *const names[] = { "", "dir", "tool" };
	struct bench b;

	set_up(&b);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_TEXT char *path = path_join(b.tree, names[i]);

		if (setxattr(path, "system.posix_acl_access", list_with_a_user,
			     sizeof(list_with_a_user), 0) != 0) {
			tear_down(&b);
			skip(); /* a file system without them */
		}
		if (i < 2)
			assert_int_equal(setxattr(path, "system.posix_acl_default",
						  list_with_a_user, sizeof(list_with_a_user), 0),
					 0);
	}
	assert_taken(&b);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_TEXT char *path = path_join(b.tree, names[i]);

		assert_true(getxattr(path, "system.posix_acl_access", NULL, 0) < 0);
		assert_true(getxattr(path, "system.posix_acl_default", NULL, 0) < 0);
	}
	assert_right(&b);
	tear_down(&b);
}

static void what_is_not_as_the_manifest_says_is_refused(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *extra = NULL;
	SCOPED_TEXT char *tool = NULL;
	int fd;

	set_up(&b);
	extra = path_join(b.tree, "dir/extra");
	tool = path_join(b.tree, "tool");
	assert_int_equal(mkdir(extra, 0700), 0);
	assert_refused(&b, "dir/extra");
	assert_int_equal(rmdir(extra), 0);
	assert_int_equal(truncate(tool, 4), 0);
	assert_refused(&b, "tool");
	assert_int_equal(unlink(tool), 0);
	assert_refused(&b, "tree/");
	assert_int_equal(symlink("/etc/hostname", tool), 0);
	assert_refused(&b, "tree/");
	fd = at(&b, "dir/big", O_WRONLY);
	assert_int_equal(pwrite(fd, "evil", 4, 400000), 4);
	close(fd);
	assert_refused(&b, "dir/big");
	tear_down(&b);
}

static void a_link_in_the_trees_place_is_refused(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *moved = NULL;

	set_up(&b);
	moved = path_join(b.top, "moved");
	assert_int_equal(rename(b.tree, moved), 0);
	assert_refused(&b, "not there");
	assert_int_equal(symlink(moved, b.tree), 0);
	assert_refused(&b, "not there");
	tear_down(&b);
}

/* All of one tree, by descriptors: root's tests alone see accounts. */
static void set_owner(const char *dir, uid_t uid)
{
	struct err err = { 0 };

	assert_done(takeover_give_back(dir, uid, &err), &err);
}

static void anothers_tree_becomes_ours_and_goes_back(void **state UNUSED)
{
	static const char *const names[] = { "",      "dir",  "dir/big",   "dir/link",
					     "empty", "shut", "shut/small" };
	struct bench b;
	SCOPED_TEXT char *other = NULL;
	SCOPED_TEXT char *small = NULL;

	if (geteuid() != 0)
		skip();
	set_up(&b);
	set_owner(b.dir, OTHER_ID);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(stat_of(&b, names[i]).st_uid, OTHER_ID);
	assert_taken(&b);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(stat_of(&b, names[i]).st_uid, 0);
	/* A file of root's by another name does not go along. */
	other = path_join(b.top, "roots");
	small = path_join(b.tree, "shut/small");
	assert_int_equal(link(small, other), 0);
	set_owner(b.dir, OTHER_ID);
	assert_int_equal(stat_of(&b, "dir/big").st_uid, OTHER_ID);
	assert_int_equal(access(small, F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	tear_down(&b);
}

TESTING_MAIN(cmocka_unit_test(what_nobody_holds_stays_where_it_is),
	     cmocka_unit_test(what_is_open_for_writing_is_copied),
	     cmocka_unit_test(what_is_mapped_for_writing_is_copied),
	     cmocka_unit_test(what_has_another_name_is_copied),
	     cmocka_unit_test(what_everybody_could_write_nobody_else_can),
	     cmocka_unit_test(access_lists_go),
	     cmocka_unit_test(what_is_not_as_the_manifest_says_is_refused),
	     cmocka_unit_test(a_link_in_the_trees_place_is_refused),
	     cmocka_unit_test(anothers_tree_becomes_ours_and_goes_back))
