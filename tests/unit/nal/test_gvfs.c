#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/newfile.h"
#include "nal/gvfs.h"
#include "support/tempdir.h"

#define EVE 1000

/* A table that shows `dir` as the GVFS folder of Eve. */
static void read_table(struct mounts *table, const char *dir)
{
	SCOPED_TEXT char *path = path_join(dir, ".table");
	SCOPED(buf) struct buf text = { 0 };
	struct err err;

	buf_printf(&text,
		   "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
		   "28 27 0:40 / %s rw - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=%d,group_id=%d\n",
		   dir, EVE, EVE);
	assert_done(newfile_write(path, 0600, buf_span(&text), &err), &err);
	assert_done(mounts_read(table, path, &err), &err);
}

static void make_entry(const char *dir, const char *name)
{
	SCOPED_TEXT char *path = path_join(dir, name);

	assert_int_equal(mkdir(path, 0700), 0);
}

static void the_shares_of_the_user_are_found_by_listing(void **state UNUSED)
{
	char *dir = tempdir_make("gvfs");
	struct timebox box = TIMEBOX_EMPTY;
	SCOPED(mounts) struct mounts table = { 0 };

	make_entry(dir, "smb-share:server=nas,share=pub");
	make_entry(dir, "sftp:host=nas");
	make_entry(dir, "dav:host=web,ssl=true,prefix=%2Fpackway");
	read_table(&table, dir);
	gvfs_add(&table, EVE + 1, &box);
	assert_int_equal(table.count, 2); /* nobody else's */
	gvfs_add(&table, EVE, &box);
	assert_int_equal(table.count, 4);
	for (size_t i = 2; i < table.count; i++) {
		assert_true(table.entries[i].names_place);
		assert_int_equal(table.entries[i].fuse_uid, EVE);
		assert_int_equal(strncmp(table.entries[i].target, dir, strlen(dir)), 0);
	}
	tempdir_remove(dir);
}

static void the_listing_is_bounded(void **state UNUSED)
{
	char *dir = tempdir_make("gvfs");
	struct timebox box = TIMEBOX_EMPTY;
	SCOPED(mounts) struct mounts table = { 0 };

	for (int i = 0; i < GVFS_SHARES_MAX + 50; i++) {
		char name[64];

		snprintf(name, sizeof(name), "smb-share:server=nas,share=s%d", i);
		make_entry(dir, name);
	}
	read_table(&table, dir);
	gvfs_add(&table, EVE, &box);
	assert_int_equal(table.count, 2 + GVFS_SHARES_MAX);
	assert_false(timebox_is_hung(&box));
	tempdir_remove(dir);
}

static void a_folder_that_hung_is_left_alone(void **state UNUSED)
{
	char *dir = tempdir_make("gvfs");
	struct timebox box = TIMEBOX_EMPTY;
	SCOPED(mounts) struct mounts table = { 0 };

	make_entry(dir, "smb-share:server=nas,share=pub");
	read_table(&table, dir);
	timebox_came_late(&box);
	gvfs_add(&table, EVE, &box);
	assert_int_equal(table.count, 2);
	tempdir_remove(dir);
}

static void a_folder_that_is_gone_adds_nothing(void **state UNUSED)
{
	char *dir = tempdir_make("gvfs");
	struct timebox box = TIMEBOX_EMPTY;
	SCOPED(mounts) struct mounts table = { 0 };

	read_table(&table, dir);
	tempdir_remove(dir);
	gvfs_add(&table, EVE, &box);
	assert_int_equal(table.count, 2);
	assert_false(timebox_is_hung(&box));
}

TESTING_MAIN(cmocka_unit_test(the_shares_of_the_user_are_found_by_listing),
	     cmocka_unit_test(the_listing_is_bounded),
	     cmocka_unit_test(a_folder_that_hung_is_left_alone),
	     cmocka_unit_test(a_folder_that_is_gone_adds_nothing), )
