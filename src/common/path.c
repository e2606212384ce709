#include "common/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"

#define LOCK_POLL_MS 20
#define READ_PIECE   4096
#define DESCENT_MAX  32 /* folders open at a time while a tree is removed */

char *path_join(const char *a, const char *b)
{
	size_t n = strlen(a);

	while (n > 1 && a[n - 1] == '/')
		n--;
	while (*b == '/')
		b++;
	if (n == 0)
		return alloc_text(b);
	return alloc_printf("%.*s%s%s", (int)n, a, a[n - 1] == '/' ? "" : "/", b);
}

char *path_join3(const char *a, const char *b, const char *c)
{
	SCOPED_TEXT char *ab = path_join(a, b);

	return path_join(ab, c);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool is_plain_component(struct span c)
{
	return c.size > 0 && c.size <= NAME_MAX && !span_equal_text(c, ".") &&
	       !span_equal_text(c, "..");
}

bool path_is_beneath(struct span path)
{
	struct span component;

	if (path.size == 0 || path.size >= PATH_MAX || memchr(path.data, '\0', path.size) != NULL)
		return false;
	while (span_take_until(&path, &component, '/', PATH_MAX))
		if (!is_plain_component(component))
			return false;
	return is_plain_component(path);
}

/* The real path of the longest part that exists, with the missing rest appended. */
static char *settled(const char *path)
{
	SCOPED_TEXT char *parent = NULL;
	SCOPED_TEXT char *real_parent = NULL;
	char *real = realpath(path, NULL);
	const char *base = path_base(path);

	if (real != NULL)
		return real;
	if (base == path + 1)
		return alloc_text(path);
	parent = base == path ? alloc_text(".")
			      : alloc_printf("%.*s", (int)(base - path - 1), path);
	/* "." itself may be gone: then there is nothing more to find out. */
	real_parent = strcmp(path, ".") == 0 ? alloc_text(".") : settled(parent);
	return *base == '\0' ? alloc_text(real_parent) : path_join(real_parent, base);
}

bool path_contains(const char *outer, const char *inner)
{
	SCOPED_TEXT char *a = settled(outer);
	SCOPED_TEXT char *b = settled(inner);
	size_t n = strlen(a);

	if (strcmp(a, "/") == 0)
		return true;
	return strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/');
}

bool path_make_dirs(const char *dir, mode_t mode, struct err *err)
{
	SCOPED_TEXT char *work = alloc_text(dir);
	struct stat st;
	int refused = 0;

	if (*work == '\0')
		return err_set(err, ERR_IO, "a folder without a name");
	/* Nearly always: then none of those above it has to be asked for. */
	if (stat(work, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	for (char *p = work + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(work, mode) == 0 || errno == EEXIST) {
			*p = '/';
			continue;
		}
		/* It may be there all the same, in a folder that may not be written. */
		if (errno != EROFS && errno != EACCES)
			return err_sys(err, ERR_IO, errno, "folder %s", work);
		refused = errno;
		*p = '/';
	}
	if (mkdir(work, mode) == 0)
		return true;
	if (errno == ENOENT && refused != 0)
		return err_sys(err, ERR_IO, refused, "folder %s", dir);
	if (errno != EEXIST)
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	if (stat(work, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_IO, "%s is in the way: it is no folder", dir);
	return true;
}

/* All that is left of a file, piece by piece: what its size says is a hint only. */
static bool read_rest(struct buf *out, int fd, const char *path, size_t piece, size_t max,
		      struct err *err)
{
	size_t before = out->size;
	ssize_t got;

	do {
		/* One byte more than promised shows a file that grows while it is read. */
		got = path_read_fd(fd, buf_reserve(out, piece + 1), piece + 1);
		if (got < 0)
			return err_sys(err, ERR_IO, errno, "file %s", path);
		buf_grew(out, (size_t)got);
		if (out->size - before > max) {
			out->size = before;
			return err_set(err, ERR_LIMIT, "file %s grew past %zu bytes", path, max);
		}
		if ((size_t)got <= piece)
			return true;
		piece = MIN_OF(MAX_OF(piece, (size_t)READ_PIECE), max);
	} while (true);
}

bool path_read(struct buf *out, const char *path, size_t max, struct err *err)
{
	/* Not blocking: a pipe in the file's place must not stop us. */
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_IO, "%s is no regular file", path);
	if ((uint64_t)st.st_size > max)
		return err_set(err, ERR_LIMIT, "file %s has %lld bytes, at most %zu are read", path,
			       (long long)st.st_size, max);
	return read_rest(out, fd, path, (size_t)st.st_size, max, err);
}

/*
 * A tree is removed by descriptors and single names, since whole paths in it may be longer than the
 * system takes. What lies deeper than descriptors reach is moved up first.
 */
struct removal {
	int top;
	dev_t device;
	unsigned int moved;
	uint64_t removed;
};

static bool is_gone(int rc, struct removal *r)
{
	r->removed += rc == 0;
	return rc == 0 || errno == ENOENT;
}

/* A package may hold folders that even their owner may not enter: they are opened up. */
static int open_folder(int parent, const char *name)
{
	const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, how);
	struct stat st;

	if (fd < 0 && errno == EACCES && fchmodat(parent, name, S_IRWXU, 0) == 0)
		fd = openat(parent, name, how);
	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
		(void)fchmod(fd, S_IRWXU);
	return fd;
}

static bool move_up(struct removal *r, int dir, const char *name)
{
	SCOPED_FD int opened_up = open_folder(dir, name);
	char up[32];

	do {
		snprintf(up, sizeof(up), ".deep-%u", r->moved++);
		if (renameat(dir, name, r->top, up) == 0) {
			r->removed++;
			return true;
		}
	} while (opened_up >= 0 && (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR));
	return false;
}

static bool empty_folder(struct removal *r, int fd, unsigned int depth);

static bool remove_entry(struct removal *r, int dir, const char *name, unsigned int depth)
{
	int fd;

	if (is_gone(unlinkat(dir, name, 0), r))
		return true;
	if (errno != EISDIR)
		return false;
	if (depth == DESCENT_MAX)
		return move_up(r, dir, name);
	fd = open_folder(dir, name);
	if (fd < 0)
		return errno == ENOENT;
	return empty_folder(r, fd, depth) && is_gone(unlinkat(dir, name, AT_REMOVEDIR), r);
}

static bool is_elsewhere(const struct removal *r, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_dev == r->device)
		return false;
	errno = EBUSY; /* another file system is mounted here */
	return true;
}

/* Takes `fd` over. Goes round until nothing is found any more: entries come while others go. */
static bool empty_folder(struct removal *r, int fd, unsigned int depth)
{
	DIR *folder = is_elsewhere(r, fd) ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool done = true;
	uint64_t before;
	int reason;

	if (folder == NULL) {
		reason = errno;
		close(fd);
		errno = reason;
		return false;
	}
	do {
		before = r->removed;
		rewinddir(folder);
		while (done && (e = readdir(folder)) != NULL)
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				done = remove_entry(r, fd, e->d_name, depth + 1);
	} while (done && r->removed != before);
	reason = errno;
	closedir(folder);
	errno = reason;
	return done;
}

static bool remove_tree(const char *path)
{
	struct removal r = { 0 };
	struct stat st;

	if (is_gone(unlink(path), &r))
		return true;
	if (errno != EISDIR)
		return false;
	r.top = open_folder(AT_FDCWD, path);
	if (r.top < 0 || fstat(r.top, &st) != 0)
		return false;
	r.device = st.st_dev;
	return empty_folder(&r, r.top, 0) && is_gone(rmdir(path), &r);
}

bool path_remove_tree(const char *path, struct err *err)
{
	return remove_tree(path) || err_sys(err, ERR_IO, errno, "remove %s", path);
}

bool path_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool path_sync_dir(const char *dir, struct err *err)
{
	SCOPED_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	return true;
}

bool path_sync_fs(const char *dir, struct err *err)
{
	SCOPED_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	return true;
}

bool path_write_fd(int fd, struct span bytes, struct err *err)
{
	while (bytes.size > 0) {
		ssize_t n = write(fd, bytes.data, bytes.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "write");
		bytes = span_skip(bytes, (size_t)n);
	}
	return true;
}

ssize_t path_read_fd(int fd, void *dst, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, (char *)dst + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

void path_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool lock_file(int *fd_out, const char *path, int how, uint32_t wait_ms, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* Another account's file that may be read: flock asks for no more. */
	if (fd < 0 && errno == EACCES) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		errno = EACCES; /* and not that there is none to read */
	}
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "lock %s", path);
	for (uint32_t waited = 0; flock(fd, how | LOCK_NB) != 0; waited += LOCK_POLL_MS) {
		struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000L };

		if (errno != EWOULDBLOCK || waited >= wait_ms) {
			int failed = errno;

			close(fd);
			if (failed != EWOULDBLOCK)
				return err_sys(err, ERR_IO, failed, "lock %s", path);
			return err_set(err, ERR_LOCKED, "another command holds %s", path);
		}
		nanosleep(&pause, NULL);
	}
	*fd_out = fd;
	return true;
}

bool path_lock(int *fd_out, const char *path, uint32_t wait_ms, struct err *err)
{
	return lock_file(fd_out, path, LOCK_EX, wait_ms, err);
}

bool path_lock_shared(int *fd_out, const char *path, uint32_t wait_ms, struct err *err)
{
	return lock_file(fd_out, path, LOCK_SH, wait_ms, err);
}
