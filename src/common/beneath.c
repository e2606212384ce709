#include "common/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"

#define ALWAYS (O_CLOEXEC | O_NOFOLLOW)

static int open_by_kernel(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)(flags | ALWAYS),
		.mode = (flags & O_CREAT) != 0 ? mode & 07777 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* The kernel asks for another try when a rename elsewhere raced with the resolution. */
	do
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN);
	return (int)fd;
}

static void close_quietly(int fd)
{
	int kept = errno;

	close(fd);
	errno = kept;
}

/* For kernels and sandboxes without openat2: one O_NOFOLLOW step for each component. */
static int open_by_steps(int dir_fd, const char *path, int flags, mode_t mode)
{
	SCOPED_TEXT char *work = alloc_text(path);
	int at = dir_fd;
	char *slash;
	char *step = work;

	while ((slash = strchr(step, '/')) != NULL) {
		int next;

		*slash = '\0';
		next = openat(at, step, O_PATH | O_DIRECTORY | ALWAYS);
		if (at != dir_fd)
			close_quietly(at);
		if (next < 0)
			return -1;
		at = next;
		step = slash + 1;
	}
	int fd = openat(at, step, flags | ALWAYS, mode);

	if (at != dir_fd)
		close_quietly(at);
	return fd;
}

static bool lacks_openat2(void)
{
	return errno == ENOSYS || errno == EPERM;
}

int beneath_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	int fd;

	if (!path_is_beneath(span_of_text(path))) {
		errno = EINVAL;
		return -1;
	}
	fd = open_by_kernel(dir_fd, path, flags, mode);
	if (fd < 0 && lacks_openat2())
		fd = open_by_steps(dir_fd, path, flags, mode);
	return fd;
}

int beneath_open_folder(int dir_fd, const char *path)
{
	if (path == NULL)
		return openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | ALWAYS);
	return beneath_open(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
}

int beneath_open_parent(int dir_fd, const char *path, const char **base_out)
{
	SCOPED_TEXT char *parent = NULL;
	const char *base = path_base(path);

	if (!path_is_beneath(span_of_text(path))) {
		errno = EINVAL;
		return -1;
	}
	*base_out = base;
	if (base == path)
		return beneath_open_folder(dir_fd, NULL);
	parent = alloc_printf("%.*s", (int)(base - path - 1), path);
	return beneath_open_folder(dir_fd, parent);
}
