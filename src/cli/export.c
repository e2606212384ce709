#include "cli/export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/random.h"

#define COPY_STEP ((size_t)1 << 30)

/* Both files stand at the beginning of what is copied. */
static bool copy_by_hand(int from, int to, off_t left, struct err *err)
{
	char block[1 << 16];
	ssize_t n = 0;

	while (left > 0 && (n = read(from, block, MIN_OF((size_t)left, sizeof(block)))) > 0) {
		if (!path_write_fd(to, span_of(block, (size_t)n), err))
			return false;
		left -= n;
	}
	return n >= 0 || err_sys(err, ERR_IO, errno, "copy");
}

static bool copy_piece(int from, int to, off_t at, off_t end, struct err *err)
{
	ssize_t n = 0;

	if (lseek(from, at, SEEK_SET) < 0 || lseek(to, at, SEEK_SET) < 0)
		return err_sys(err, ERR_IO, errno, "copy");
	while (at < end && (n = copy_file_range(from, NULL, to, NULL,
						MIN_OF((size_t)(end - at), COPY_STEP), 0)) > 0)
		at += n;
	if (n >= 0)
		return true;
	/* Other file systems on both ends: the ordinary way, from where the kernel stopped. */
	if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return err_sys(err, ERR_IO, errno, "copy");
	return copy_by_hand(from, to, end - at, err);
}

/* The next stretch of [at, size) that is no hole; false: there is none. */
static bool find_data(off_t *begin, off_t *end, int fd, off_t at, off_t size)
{
	*begin = lseek(fd, at, SEEK_DATA);
	if (*begin < 0 && errno == ENXIO)
		return false;
	*end = *begin >= 0 ? lseek(fd, *begin, SEEK_HOLE) : -1;
	/* A file system that knows of no holes. */
	if (*end < 0) {
		*begin = at;
		*end = size;
	}
	return *begin < size;
}

/* Holes stay holes: of a disk image they may be most. */
static bool copy_bytes(int from, int to, off_t size, struct err *err)
{
	off_t begin, end;

	for (off_t at = 0; at < size && find_data(&begin, &end, from, at, size); at = end)
		if (!copy_piece(from, to, begin, MIN_OF(end, size), err))
			return false;
	return ftruncate(to, size) == 0 || err_sys(err, ERR_IO, errno, "copy");
}

static bool copy_file(int from_dir, int to_dir, const char *name, const struct stat *info,
		      struct err *err)
{
	SCOPED_FD int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	SCOPED_FD int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (from < 0 || to < 0)
		return err_sys(err, ERR_IO, errno, "file %s", name);
	if (!copy_bytes(from, to, info->st_size, err))
		return false;
	return fchmod(to, info->st_mode & 0777) == 0 ||
	       err_sys(err, ERR_IO, errno, "file %s", name);
}

static bool copy_link(int from_dir, int to_dir, const char *name, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(err, ERR_IO, errno, "link %s", name);
	target[n] = '\0';
	return symlinkat(target, to_dir, name) == 0 || err_sys(err, ERR_IO, errno, "link %s", name);
}

static bool copy_folder(int from, int to, struct err *err);

static bool copy_subfolder(int from_dir, int to_dir, const char *name, mode_t mode, struct err *err)
{
	SCOPED_FD int from = openat(from_dir, name,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	SCOPED_FD int to = -1;

	if (from < 0 || mkdirat(to_dir, name, 0700) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", name);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_sys(err, ERR_IO, errno, "folder %s", name);
	if (!copy_folder(from, to, err))
		return false;
	return fchmod(to, mode & 0777) == 0 || err_sys(err, ERR_IO, errno, "folder %s", name);
}

static bool copy_entry(int from, int to, const char *name, struct err *err)
{
	struct stat info;

	if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_IO, errno, "%s", name);
	if (S_ISDIR(info.st_mode))
		return copy_subfolder(from, to, name, info.st_mode, err);
	if (S_ISLNK(info.st_mode))
		return copy_link(from, to, name, err);
	return copy_file(from, to, name, &info, err);
}

static bool copy_folder(int from, int to, struct err *err)
{
	int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;
	const struct dirent *entry;
	bool done = true;

	if (dir == NULL) {
		err_sys(err, ERR_IO, errno, "folder");
		path_close_fd(&again);
		return false;
	}
	while (done && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			done = copy_entry(from, to, entry->d_name, err);
	closedir(dir);
	return done;
}

bool export_tree(const char *from, int from_fd, const char *to, struct err *err)
{
	uint64_t salt;
	SCOPED_TEXT char *temp = NULL;
	SCOPED_FD int source = from_fd >= 0 ? fcntl(from_fd, F_DUPFD_CLOEXEC, 0)
					    : open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SCOPED_FD int target = -1;
	struct err ignored;
	struct stat info;

	random_bytes(&salt, sizeof(salt));
	temp = alloc_printf("%s.new-%08x", to, (unsigned int)salt);
	if (source < 0 || fstat(source, &info) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", from);
	if (mkdir(temp, 0700) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", temp);
	target = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		err_sys(err, ERR_IO, errno, "folder %s", temp);
	else if (copy_folder(source, target, err)) {
		(void)fchmod(target, info.st_mode & 0777);
		/* rename replaces an empty folder and nothing else. */
		if (rename(temp, to) == 0)
			return true;
		if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
			err_set(err, ERR_EXISTS, "%s is there already and not an empty folder", to);
		else
			err_sys(err, ERR_IO, errno, "folder %s", to);
	}
	path_remove_tree(temp, &ignored);
	return false;
}
