#include "site/owner.h"

#include <errno.h>
#include <fts.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

/* False where there is nothing to do: no such folder, no root, or root's own. */
static bool is_anothers(struct stat *out, const char *dir)
{
	return geteuid() == 0 && lstat(dir, out) == 0 && S_ISDIR(out->st_mode) && out->st_uid != 0;
}

static bool take_groups(const struct stat *st)
{
	const struct passwd *pw = getpwuid(st->st_uid);

	return pw != NULL ? initgroups(pw->pw_name, st->st_gid) == 0 : setgroups(0, NULL) == 0;
}

bool owner_become(const char *dir, struct err *err)
{
	struct stat st;

	if (!is_anothers(&st, dir))
		return true;
	if (take_groups(&st) && setresgid(st.st_gid, st.st_gid, st.st_gid) == 0 &&
	    setresuid(st.st_uid, st.st_uid, st.st_uid) == 0)
		return true;
	return err_sys(err, ERR_PERMISSION, errno, "take on the account %u of %s",
		       (unsigned int)st.st_uid, dir);
}

/* The tree is new and in no other process's reach. */
static bool give_all(const char *tree, uid_t uid, gid_t gid)
{
	SCOPED_TEXT char *work = alloc_text(tree);
	char *paths[] = { work, NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	const FTSENT *e;
	bool done = walk != NULL;

	while (done && (e = fts_read(walk)) != NULL)
		if (e->fts_info != FTS_DP)
			done = e->fts_errno == 0 && lchown(e->fts_accpath, uid, gid) == 0;
	if (walk != NULL)
		fts_close(walk);
	return done;
}

bool owner_give(const char *tree, const char *heir, struct err *err)
{
	struct stat st;

	if (!is_anothers(&st, heir))
		return true;
	if (give_all(tree, st.st_uid, st.st_gid) && chmod(tree, st.st_mode & 07777) == 0)
		return true;
	return err_sys(err, ERR_IO, errno, "give %s to the account %u", tree,
		       (unsigned int)st.st_uid);
}
