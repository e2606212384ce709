/* Whose the folders of the state are. Root's tests: without root there is one account. */
#include "support/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/workroom.h"
#include "common/newfile.h"
#include "support/tempdir.h"

#define OWN_ID     64123
#define ANOTHER_ID 64124

static const struct workroom_account own = { true, OWN_ID, OWN_ID };
static const struct workroom_account root = { .changes = false };

struct bench {
	char *dir;
	struct state state;
};

static void set_up(struct bench *b)
{
	struct err err = { 0 };

	if (geteuid() != 0)
		skip();
	*b = (struct bench){ .dir = tempdir_make("workroom") };
	assert_done(state_open(&b->state, b->dir, STATE_CREATE, &err), &err);
}

static void tear_down(struct bench *b)
{
	state_close(&b->state);
	tempdir_remove(b->dir);
}

static void give(struct bench *b, const struct workroom_account *account)
{
	struct err err = { 0 };

	assert_done(workroom_give(&b->state, account, &err), &err);
}

static void assert_owner(struct bench *b, const char *name, uid_t uid, mode_t mode)
{
	SCOPED_TEXT char *path = path_join(b->dir, name);
	struct stat st;

	if (lstat(path, &st) != 0)
		fail_msg("%s is missing", name);
	if (st.st_uid != uid || (st.st_mode & 07777) != mode)
		fail_msg("%s is of %u, mode %o", name, st.st_uid, st.st_mode & 07777);
}

static bool stands(struct bench *b, const char *name)
{
	SCOPED_TEXT char *path = path_join(b->dir, name);

	return path_exists(path);
}

/* A file in the state, with its folders, all of one account. */
static void put(struct bench *b, const char *folder, const char *name, uid_t owner)
{
	SCOPED_TEXT char *dir = path_join(b->dir, folder);
	SCOPED_TEXT char *path = path_join(dir, name);
	struct err err = { 0 };

	assert_done(path_make_dirs(dir, 0755, &err), &err);
	assert_done(newfile_write(path, 0600, span_of_text("text"), &err), &err);
	assert_int_equal(chown(path, owner, owner), 0);
	assert_int_equal(chown(dir, owner, owner), 0);
}

static void a_worker_gets_its_rooms_and_no_more(void **state UNUSED)
{
	static const char *const rooms[] = { "worker", "metadata", "policy", "decisions",
					     "store/partial" };
	static const char *const names[] = { "", "lock", "lock/metadata.lock", "outbox" };
	struct bench b;

	set_up(&b);
	give(&b, &own);
	for (size_t i = 0; i < COUNT_OF(rooms); i++)
		assert_owner(&b, rooms[i], OWN_ID, 0770);
	assert_owner(&b, "store", 0, 0711);
	assert_owner(&b, "store/locks", 0, 0700);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED_TEXT char *path = path_join(b.dir, names[i]);
		struct stat st;

		if (lstat(path, &st) == 0 && st.st_uid != 0)
			fail_msg("\"%s\" is the worker's", names[i]);
	}
	/* And every time it is the same. */
	give(&b, &own);
	assert_owner(&b, "store/partial", OWN_ID, 0770);
	tear_down(&b);
}

static void finished_packages_stay_roots(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	give(&b, &own);
	put(&b, "store/LON00001/1", "file", 0);
	put(&b, "store/building/LON00002-1", "file", 0);
	give(&b, &own);
	assert_owner(&b, "store/LON00001/1/file", 0, 0600);
	assert_owner(&b, "store/building/LON00002-1/file", 0, 0600);
	tear_down(&b);
}

/* The store of a version before: its worker may have files of it open still. */
static void a_store_that_was_a_workers_goes(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	put(&b, "store/LON00001/1", "file", OWN_ID);
	put(&b, "store", "file", OWN_ID);
	give(&b, &own);
	assert_false(stands(&b, "store/LON00001"));
	assert_false(stands(&b, "store/file"));
	assert_owner(&b, "store", 0, 0711);
	tear_down(&b);
}

static void locks_that_were_a_workers_go(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	give(&b, &own);
	put(&b, "store/LON00001/1", "file", 0);
	put(&b, "store/locks", "LON00001-1", OWN_ID);
	give(&b, &own);
	assert_false(stands(&b, "store/locks/LON00001-1"));
	assert_owner(&b, "store/locks", 0, 0700);
	assert_true(stands(&b, "store/LON00001/1/file"));
	tear_down(&b);
}

/* A version before took packages over there. */
static void what_was_on_its_way_to_root_goes(void **state UNUSED)
{
	struct bench b;

	set_up(&b);
	give(&b, &own);
	put(&b, "store/taking/LON00001-1/tree", "file", OWN_ID);
	put(&b, "store/taking", "lock-LON00001-1", 0);
	put(&b, "store/LON00001/2", "file", 0);
	give(&b, &own);
	assert_false(stands(&b, "store/taking"));
	assert_true(stands(&b, "store/LON00001/2/file"));
	tear_down(&b);
}

static void what_is_in_a_room_follows_its_account(void **state UNUSED)
{
	static const struct workroom_account another = { true, ANOTHER_ID, ANOTHER_ID };
	struct bench b;

	set_up(&b);
	put(&b, "metadata", "1.root.json", 0);
	put(&b, "worker/deep/er", "file", 0);
	give(&b, &own);
	assert_owner(&b, "metadata/1.root.json", OWN_ID, 0600);
	assert_owner(&b, "worker/deep/er/file", OWN_ID, 0600);
	give(&b, &another);
	assert_owner(&b, "metadata/1.root.json", ANOTHER_ID, 0600);
	give(&b, &root);
	assert_owner(&b, "metadata", 0, 0770);
	assert_owner(&b, "metadata/1.root.json", 0, 0600);
	assert_owner(&b, "store/partial", 0, 0770);
	tear_down(&b);
}

/* No file outside changes hands, whatever an account before has put into its room. */
static void nothing_that_a_link_leads_to_changes_hands(void **state UNUSED)
{
	struct bench b;
	SCOPED_TEXT char *outside = NULL;
	SCOPED_TEXT char *link = NULL;
	SCOPED_TEXT char *room = NULL;
	SCOPED_TEXT char *away = NULL;
	struct err err = { 0 };

	set_up(&b);
	outside = path_join(b.dir, "outside");
	link = path_join(b.dir, "metadata/link");
	room = path_join(b.dir, "policy");
	away = path_join(b.dir, "away");
	put(&b, "outside", "file", 0);
	put(&b, "metadata", "file", 0);
	assert_int_equal(symlink(outside, link), 0);
	give(&b, &own);
	assert_owner(&b, "outside", 0, 0755);
	assert_owner(&b, "outside/file", 0, 0600);
	/* A link in the place of a room is none. */
	assert_int_equal(rename(room, away), 0);
	assert_int_equal(symlink(outside, room), 0);
	assert_false(workroom_give(&b.state, &own, &err));
	assert_owner(&b, "outside", 0, 0755);
	assert_owner(&b, "outside/file", 0, 0600);
	tear_down(&b);
}

static void an_account_is_named_or_numbered_and_never_root(void **state UNUSED)
{
	struct workroom_account a;

	if (geteuid() != 0)
		skip();
	workroom_find(&a, "64123");
	assert_true(a.changes);
	assert_int_equal(a.uid, OWN_ID);
	assert_int_equal(a.gid, OWN_ID);
	workroom_find(&a, "nobody");
	assert_true(a.changes);
	workroom_find(&a, "root");
	assert_false(a.changes);
	workroom_find(&a, "0");
	assert_false(a.changes);
	workroom_find(&a, "no-such-account");
	assert_false(a.changes);
}

TESTING_MAIN(cmocka_unit_test(a_worker_gets_its_rooms_and_no_more),
	     cmocka_unit_test(finished_packages_stay_roots),
	     cmocka_unit_test(a_store_that_was_a_workers_goes),
	     cmocka_unit_test(locks_that_were_a_workers_go),
	     cmocka_unit_test(what_was_on_its_way_to_root_goes),
	     cmocka_unit_test(what_is_in_a_room_follows_its_account),
	     cmocka_unit_test(nothing_that_a_link_leads_to_changes_hands),
	     cmocka_unit_test(an_account_is_named_or_numbered_and_never_root))
