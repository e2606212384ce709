#include "support/failnth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* What a test arms is seen by calls that know nothing of it: the one place for file-scope state. */
static struct {
	unsigned int left; /* calls until one fails; 0: disarmed */
	bool for_good;
	bool failed;
} state;

void failnth_arm(unsigned int n)
{
	state.left = n;
	state.for_good = false;
	state.failed = false;
}

void failnth_arm_for_good(unsigned int n)
{
	failnth_arm(n);
	state.for_good = true;
}

bool failnth_disarm(void)
{
	state.left = 0;
	state.for_good = false;
	return state.failed;
}

static bool fails_now(void)
{
	bool now = state.left == 1 || (state.failed && state.for_good);

	if (state.left > 0)
		state.left--;
	if (now) {
		state.failed = true;
		errno = ENOSPC;
	}
	return now;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
		if (fails_now())
			return -1;
	}
	return __real_open64(path, flags, mode);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	/* Half of it arrives, as on a disk that fills up. */
	if (fails_now()) {
		(void)!__real_write(fd, data, size / 2);
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, data, size);
}

/* Counted but not carried out: no test here pulls the plug, and thousands of flushes take minutes.
 */
#define WRAP_FLUSH(name)                     \
	int __wrap_##name(int fd);           \
	int __wrap_##name(int fd)            \
	{                                    \
		(void)fd;                    \
		return fails_now() ? -1 : 0; \
	}

WRAP_FLUSH(fsync)
WRAP_FLUSH(syncfs)

#define WRAP(name, parameters, arguments)                          \
	int __real_##name parameters;                              \
	int __wrap_##name parameters;                              \
	int __wrap_##name parameters                               \
	{                                                          \
		return fails_now() ? -1 : __real_##name arguments; \
	}

WRAP(mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(rename, (const char *from, const char *to), (from, to))
