#include "agent/workroom.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"

/* Root's children without network have no right but to read: they write where root's group may. */
static const struct {
	const char *name;
	mode_t mode;
} rooms[] = {
	{ "worker", 0770 },    { "metadata", 0770 },      { "policy", 0770 },
	{ "decisions", 0770 }, { "store/partial", 0770 },
};
#define STORE_MODE 0711

void workroom_find(struct workroom_account *out, const char *name)
{
	const struct passwd *pw;
	uint64_t number;

	*out = (struct workroom_account){ 0 };
	if (geteuid() != 0)
		return;
	if (name == NULL)
		name = WORKROOM_ACCOUNT_DEFAULT;
	if (text_u64(&number, name, 1, UINT32_MAX - 1)) {
		*out = (struct workroom_account){ true, (uid_t)number, (gid_t)number };
		return;
	}
	pw = getpwnam(name);
	if (pw != NULL && pw->pw_uid != 0)
		*out = (struct workroom_account){ true, pw->pw_uid, pw->pw_gid };
}

/* The room itself comes last: until then nobody but root is in it, and no name in it can change. */
static bool hand_over(const char *room, const struct workroom_account *to, struct err *err)
{
	char *roots[] = { (char *)(uintptr_t)room, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *entry;
	bool done = walk != NULL;

	while (done && (entry = fts_read(walk)) != NULL)
		if (entry->fts_info != FTS_D)
			done = lchown(entry->fts_accpath, to->uid, 0) == 0 || errno == ENOENT;
	if (!done)
		err_sys(err, ERR_IO, errno, "folder %s", room);
	if (walk != NULL)
		fts_close(walk);
	return done;
}

static bool give(const char *room, mode_t mode, const struct workroom_account *to, struct err *err)
{
	struct stat st;

	if (!path_make_dirs(room, 0700, err))
		return false;
	if (lstat(room, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_IO, "%s is no folder", room);
	if (st.st_uid == to->uid && (st.st_mode & 07777) == mode)
		return true;
	if (st.st_uid != to->uid && !hand_over(room, to, err))
		return false;
	return chmod(room, mode) == 0 || err_sys(err, ERR_IO, errno, "folder %s", room);
}

/*
 * All of the store but `partial` is root's. One that was the worker's, as of versions before, goes:
 * it is a cache, and what is in it may be held open by anybody.
 */
static bool keep_store(const char *store, struct err *err)
{
	SCOPED_TEXT char *locks = path_join(store, "locks");
	struct stat st;

	if (lstat(store, &st) == 0 && st.st_uid != 0 && !path_remove_tree(store, err))
		return false;
	if (lstat(locks, &st) == 0 && st.st_uid != 0 && !path_remove_tree(locks, err))
		return false;
	return path_make_dirs(store, STORE_MODE, err) && path_make_dirs(locks, 0700, err) &&
	       (chmod(store, STORE_MODE) == 0 || err_sys(err, ERR_IO, errno, "folder %s", store));
}

/* Where a version before had what changed hands. What fails costs room, no more. */
static void clear_up(const char *store)
{
	SCOPED_TEXT char *taking = path_join(store, "taking");
	struct err ignored = { 0 };

	(void)path_remove_tree(taking, &ignored);
}

/* Locks stay root's; this one is the worker's to take, for which reading is enough. */
static bool make_lock(const struct state *st, struct err *err)
{
	SCOPED_TEXT char *path = state_path(st, "lock/metadata.lock");
	SCOPED_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd >= 0 || err_sys(err, ERR_IO, errno, "lock %s", path);
}

bool workroom_give(const struct state *st, const struct workroom_account *account, struct err *err)
{
	const struct workroom_account root = { 0 };
	const struct workroom_account *to = account->changes ? account : &root;
	SCOPED_TEXT char *store = state_path(st, "store");
	bool done;

	if (geteuid() != 0)
		return true;
	done = make_lock(st, err) && keep_store(store, err);
	clear_up(store);
	for (size_t i = 0; i < COUNT_OF(rooms) && done; i++) {
		SCOPED_TEXT char *room = state_path(st, rooms[i].name);

		done = give(room, rooms[i].mode, to, err);
	}
	return done || err_what(err, "cannot make a room of the worker's");
}
