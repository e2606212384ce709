#include "content/takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/beneath.h"
#include "common/path.h"
#include "content/check.h"
#include "content/tree.h"

#define DIR_MODE   0700
#define COPY_NAME  "copy"
#define DEPTH_MAX  512
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)

/* One takeover under way. */
struct work {
	const char *path; /* of the tree, for messages */
	const struct manifest *manifest;
	int dir;
	int tree;
	dev_t device;
};

static bool work_fault(struct err *err, const struct work *w, const struct manifest_entry *e)
{
	return err_sys(err, ERR_IO, errno, "%s/%s", w->path, e != NULL ? e->path : "");
}

/* What would let others write whatever the mode says. */
static bool drop_lists(int fd)
{
	static const char *const lists[] = { "system.posix_acl_access",
					     "system.posix_acl_default" };

	for (size_t i = 0; i < COUNT_OF(lists); i++)
		if (fremovexattr(fd, lists[i]) != 0 && errno != ENODATA && errno != ENOTSUP &&
		    errno != EACCES)
			return false;
	return true;
}

/* Each step counts only after the one before: who is no owner any more changes neither of them. */
static bool own(int fd, mode_t mode)
{
	return fchown(fd, geteuid(), getegid()) == 0 && drop_lists(fd) && fchmod(fd, mode) == 0;
}

/* True if nobody has it open for writing. Else EAGAIN: somebody has; or a file system without
 * leases cannot tell. */
static bool has_no_writer(int fd)
{
	return fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

static bool has_rights(int fd)
{
	return fgetxattr(fd, "security.capability", NULL, 0) >= 0;
}

static bool has_other_names(int fd)
{
	struct stat st;

	return fstat(fd, &st) != 0 || st.st_nlink != 1;
}

/* It may be somebody else's file by another name: that one is left as it is. */
static bool take_as_it_is(int fd, const struct manifest_entry *e)
{
	return !has_other_names(fd) && own(fd, takeover_mode(e->mode)) && !has_other_names(fd) &&
	       !has_rights(fd) && has_no_writer(fd);
}

static bool put_copy(const struct work *w, const struct manifest_entry *e, struct err *err)
{
	const char *base;
	SCOPED_FD int parent = beneath_open_parent(w->tree, e->path, &base);

	return (parent >= 0 && renameat(w->dir, COPY_NAME, parent, base) == 0) ||
	       work_fault(err, w, e);
}

/* What it holds while it is being written is found wrong by its hash. */
static bool take_copy(const struct work *w, const struct manifest_entry *e, int from,
		      struct err *err)
{
	SCOPED_FD int to = -1;

	if (unlinkat(w->dir, COPY_NAME, 0) != 0 && errno != ENOENT)
		return work_fault(err, w, e);
	to = openat(w->dir, COPY_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0 || !tree_copy_file(to, from, e->size) || fchmod(to, takeover_mode(e->mode)) != 0)
		return work_fault(err, w, e);
	return put_copy(w, e, err);
}

static enum takeover say_changed(struct err *err, const struct work *w, const char *path,
				 const char *how)
{
	err_set(err, ERR_CORRUPT, "%s/%s %s", w->path, path, how);
	return TAKEOVER_CHANGED;
}

/* What is missing, or of another kind, the comparison tells. */
static bool is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENXIO;
}

static enum takeover open_entry(int *fd_out, struct stat *st, const struct work *w,
				const struct manifest_entry *e, int flags, struct err *err)
{
	int fd = beneath_open(w->tree, e->path, flags, 0);

	*fd_out = -1;
	if (fd < 0 && (errno == EWOULDBLOCK || errno == ETXTBSY))
		return say_changed(err, w, e->path, "is held by somebody else");
	if (fd < 0 && is_absent(errno))
		return TAKEOVER_DONE;
	if (fd < 0)
		return work_fault(err, w, e), TAKEOVER_FAULT;
	*fd_out = fd;
	if (fstat(fd, st) != 0)
		return work_fault(err, w, e), TAKEOVER_FAULT;
	if (st->st_dev != w->device)
		return say_changed(err, w, e->path, "is on another file system");
	return TAKEOVER_DONE;
}

static enum takeover take_link(const struct work *w, const struct manifest_entry *e,
			       struct err *err)
{
	SCOPED_FD int fd = -1;
	struct stat st;
	enum takeover result = open_entry(&fd, &st, w, e, O_PATH, err);

	if (fd < 0 || result != TAKEOVER_DONE || !S_ISLNK(st.st_mode))
		return result;
	if (fchownat(fd, "", geteuid(), getegid(), AT_EMPTY_PATH) != 0)
		return work_fault(err, w, e), TAKEOVER_FAULT;
	return TAKEOVER_DONE;
}

static enum takeover take_folder(const struct work *w, const struct manifest_entry *e,
				 struct err *err)
{
	SCOPED_FD int fd = -1;
	struct stat st;
	enum takeover result = open_entry(&fd, &st, w, e, OPEN_FLAGS | O_DIRECTORY, err);

	if (fd < 0 || result != TAKEOVER_DONE || own(fd, takeover_mode(e->mode)))
		return result;
	return work_fault(err, w, e), TAKEOVER_FAULT;
}

static enum takeover take_file(const struct work *w, const struct manifest_entry *e,
			       struct err *err)
{
	SCOPED_FD int fd = -1;
	struct stat st;
	enum takeover result = open_entry(&fd, &st, w, e, OPEN_FLAGS, err);

	if (fd < 0 || result != TAKEOVER_DONE || !S_ISREG(st.st_mode))
		return result;
	if ((uint64_t)st.st_size != e->size)
		return say_changed(err, w, e->path, "has another size");
	if (take_as_it_is(fd, e) || take_copy(w, e, fd, err))
		return TAKEOVER_DONE;
	return err->code == ERR_IO ? say_changed(err, w, e->path, "could not be copied")
				   : TAKEOVER_FAULT;
}

/* Ascending by path: a folder is taken before what is in it, which therefore stays where it is. */
static enum takeover take_entries(const struct work *w, struct err *err)
{
	static enum takeover (*const take[])(const struct work *, const struct manifest_entry *,
					     struct err *) = {
		[MANIFEST_DIR] = take_folder,
		[MANIFEST_FILE] = take_file,
		[MANIFEST_LINK] = take_link,
	};
	uint32_t count = manifest_entry_count(w->manifest);
	enum takeover result = TAKEOVER_DONE;

	for (uint32_t n = 0; n < count && result == TAKEOVER_DONE; n++) {
		const struct manifest_entry *e = manifest_entry_at(w->manifest, n);

		result = take[e->type](w, e, err);
	}
	return result;
}

static enum takeover compare(const struct work *w, struct err *err)
{
	SCOPED(check) struct check found = { 0 };

	if (!check_tree(&found, w->path, w->manifest, NULL, err))
		return TAKEOVER_FAULT;
	if (found.total == 0)
		return TAKEOVER_DONE;
	return say_changed(err, w, found.items[0].path, check_kind_name(found.items[0].kind));
}

static enum takeover ask_again(const struct work *w, struct err *err)
{
	uint32_t count = manifest_entry_count(w->manifest);

	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_entry *e = manifest_entry_at(w->manifest, n);
		SCOPED_FD int fd = -1;
		struct stat st;
		enum takeover result;

		if (e->type != MANIFEST_FILE)
			continue;
		result = open_entry(&fd, &st, w, e, OPEN_FLAGS, err);
		if (result != TAKEOVER_DONE)
			return result;
		if (fd < 0 || st.st_uid != geteuid() || (!has_no_writer(fd) && errno == EAGAIN))
			return say_changed(err, w, e->path, "is being written");
	}
	return TAKEOVER_DONE;
}

static bool flush(const struct work *w, struct err *err)
{
	struct tree tree = TREE_CLOSED;
	bool done = tree_open(&tree, w->path, w->manifest, err) && tree_sync(&tree, err);

	tree_close(&tree);
	return done;
}

static enum takeover take(struct work *w, struct err *err)
{
	struct stat st;
	enum takeover result;

	if (w->tree < 0 && is_absent(errno))
		return say_changed(err, w, "", "is not there");
	if (w->tree < 0 || fstat(w->tree, &st) != 0 || !own(w->tree, 0755))
		return work_fault(err, w, NULL), TAKEOVER_FAULT;
	w->device = st.st_dev;
	result = take_entries(w, err);
	if (result == TAKEOVER_DONE)
		result = compare(w, err);
	if (result == TAKEOVER_DONE)
		result = ask_again(w, err);
	if (result == TAKEOVER_DONE && !flush(w, err))
		result = TAKEOVER_FAULT;
	return result;
}

bool takeover_folder(const char *dir, mode_t mode, struct err *err)
{
	SCOPED_FD int fd = open(dir, OPEN_FLAGS | O_DIRECTORY);

	return (fd >= 0 && own(fd, mode)) || err_sys(err, ERR_IO, errno, "folder %s", dir);
}

enum takeover takeover_tree(const char *dir, const struct manifest *manifest, struct err *err)
{
	SCOPED_TEXT char *path = path_join(dir, "tree");
	SCOPED_FD int dir_fd = open(dir, OPEN_FLAGS | O_DIRECTORY);
	SCOPED_FD int tree_fd = -1;
	struct work w = { .path = path, .manifest = manifest, .dir = dir_fd };

	if (dir_fd < 0 || !own(dir_fd, DIR_MODE))
		return err_sys(err, ERR_IO, errno, "folder %s", dir), TAKEOVER_FAULT;
	tree_fd = openat(dir_fd, "tree", OPEN_FLAGS | O_DIRECTORY);
	w.tree = tree_fd;
	return take(&w, err);
}

/* ---- giving back ---- */

static bool give_folder(int fd, uid_t uid, unsigned int depth, struct err *err);

static bool give_entry(int folder, const char *name, uid_t uid, unsigned int depth, struct err *err)
{
	SCOPED_FD int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "give back %s", name);
	if (S_ISDIR(st.st_mode)) {
		int below = openat(folder, name, OPEN_FLAGS | O_DIRECTORY);

		return below < 0 ? err_sys(err, ERR_IO, errno, "give back %s", name)
				 : give_folder(below, uid, depth + 1, err);
	}
	if (st.st_nlink != 1)
		return unlinkat(folder, name, 0) == 0 ||
		       err_sys(err, ERR_IO, errno, "give back %s", name);
	return fchownat(fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) == 0 ||
	       err_sys(err, ERR_IO, errno, "give back %s", name);
}

/* Takes `fd` over. It comes last: until then nobody else changes a name in it. */
static bool give_folder(int fd, uid_t uid, unsigned int depth, struct err *err)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *e;
	bool done = dir != NULL;

	if (dir == NULL) {
		close(fd);
		return err_sys(err, ERR_IO, errno, "give back a folder");
	}
	if (depth > DEPTH_MAX)
		done = err_set(err, ERR_LIMIT, "folders are more than %d deep", DEPTH_MAX);
	while (done && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			done = give_entry(dirfd(dir), e->d_name, uid, depth, err);
	done = done && (fchown(dirfd(dir), uid, (gid_t)-1) == 0 ||
			err_sys(err, ERR_IO, errno, "give back a folder"));
	closedir(dir);
	return done;
}

bool takeover_give_back(const char *dir, uid_t uid, struct err *err)
{
	int fd = open(dir, OPEN_FLAGS | O_DIRECTORY);

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	/* One that was moved in and never taken may be another's still. */
	if (!own(fd, DIR_MODE)) {
		close(fd);
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	}
	return give_folder(fd, uid, 0, err);
}
