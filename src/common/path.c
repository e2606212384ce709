#include "common/path.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"

#define LOCK_POLL_MS 20

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
	if (base == path)
		return path_join(".", path);
	if (base == path + 1)
		return alloc_text(path);
	parent = alloc_printf("%.*s", (int)(base - path - 1), path);
	real_parent = settled(parent);
	return path_join(real_parent, base);
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

	for (char *p = work + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(work, mode) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return err_sys(err, ERR_IO, errno, "folder %s", work);
		*p = '/';
	}
	if (mkdir(work, mode) == 0)
		return true;
	if (errno != EEXIST)
		return err_sys(err, ERR_IO, errno, "folder %s", dir);
	if (stat(work, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_IO, "%s is in the way: it is no folder", dir);
	return true;
}

bool path_read(struct buf *out, const char *path, size_t max, struct err *err)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_IO, "%s is no regular file", path);
	if ((uint64_t)st.st_size > max)
		return err_set(err, ERR_LIMIT, "file %s has %lld bytes, at most %zu are read", path,
			       (long long)st.st_size, max);
	/* One byte more than promised shows a file that grows while it is read. */
	got = path_read_fd(fd, buf_reserve(out, (size_t)st.st_size + 1), (size_t)st.st_size + 1);
	if (got < 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if ((uint64_t)got > max)
		return err_set(err, ERR_LIMIT, "file %s grew past %zu bytes", path, max);
	buf_grew(out, (size_t)got);
	return true;
}

static int remove_entry(const char *path, const struct stat *st UNUSED, int flag,
			struct FTW *ftw UNUSED)
{
	int rc = flag == FTW_DP ? rmdir(path) : unlink(path);

	return rc != 0 && errno != ENOENT ? -1 : 0;
}

static int open_dirs(const char *path, const struct stat *st, int flag, struct FTW *ftw UNUSED)
{
	/* A package may hold folders without write permission; their content must go all the same.
	 */
	if ((flag == FTW_D || flag == FTW_DNR) && (st->st_mode & S_IRWXU) != S_IRWXU)
		(void)chmod(path, S_IRWXU);
	return 0;
}

bool path_remove_tree(const char *path, struct err *err)
{
	if (!path_exists(path))
		return true;
	nftw(path, open_dirs, 16, FTW_PHYS | FTW_MOUNT);
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "remove %s", path);
	return true;
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
}

static bool lock_file(int *fd_out, const char *path, int how, uint32_t wait_ms, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

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
