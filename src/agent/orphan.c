#include "agent/orphan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/reap.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define MARK_MAX    64
#define STARTED_MAX 256
#define LINK_MAX    4096

uint64_t orphan_boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool orphan_hold(int started_fd)
{
	/* Who looks at it holds it for a moment. */
	while (flock(started_fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

static bool is_held(const char *folder, const char *name)
{
	SCOPED_TEXT char *path = path_join(folder, name);
	SCOPED_FD int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool orphan_is_alone(const char *folder)
{
	SCOPED_TEXT char *started = path_join(folder, "started");
	SCOPED_TEXT char *result = path_join(folder, "result");
	struct stat st;

	return stat(started, &st) == 0 && st.st_size > 0 && !is_held(folder, "started") &&
	       is_held(folder, "lock") && !path_exists(result);
}

/* The first line of `started`: PID BOOT-ID BOOT-MS. */
static bool read_start(uint64_t *boot_ms_out, const char *folder)
{
	SCOPED_TEXT char *path = path_join(folder, "started");
	SCOPED(buf) struct buf text = { 0 };
	struct err ignored;

	return path_read(&text, path, STARTED_MAX, &ignored) &&
	       sscanf(buf_text(&text), "%*d %*36s %" SCNu64, boot_ms_out) == 1;
}

static bool read_mark(uint64_t *boot_ms_out, const char *folder)
{
	SCOPED_TEXT char *path = path_join(folder, ORPHAN_MARK);
	SCOPED(buf) struct buf text = { 0 };
	struct err ignored;

	return path_read(&text, path, MARK_MAX, &ignored) &&
	       sscanf(buf_text(&text), "%" SCNu64, boot_ms_out) == 1;
}

static void write_mark(const char *folder, uint64_t boot_ms)
{
	SCOPED_TEXT char *path = path_join(folder, ORPHAN_MARK);
	SCOPED_TEXT char *text = alloc_printf("%" PRIu64 "\n", boot_ms);
	struct err err;

	/* Without it the polite end is tried again. */
	if (!newfile_write(path, 0600, span_of_text(text), &err))
		log_warn("%s: %s", path, err.why);
}

/* Whether a descriptor of another process is the file: by name first, which touches no disk. */
static bool is_file(int fds, const char *name, const char *ending, const struct stat *wanted)
{
	char target[LINK_MAX];
	ssize_t size = readlinkat(fds, name, target, sizeof(target) - 1);
	size_t tail = strlen(ending);
	struct stat st;

	if (size < (ssize_t)tail)
		return false;
	target[size] = '\0';
	return strcmp(target + (size_t)size - tail, ending) == 0 &&
	       fstatat(fds, name, &st, 0) == 0 && st.st_dev == wanted->st_dev &&
	       st.st_ino == wanted->st_ino;
}

static bool has_open(const char *pid, const char *ending, const struct stat *wanted)
{
	SCOPED_TEXT char *path = alloc_printf("/proc/%s/fd", pid);
	DIR *fds = opendir(path);
	const struct dirent *e;
	bool found = false;

	while (fds != NULL && !found && (e = readdir(fds)) != NULL)
		found = e->d_name[0] != '.' && is_file(dirfd(fds), e->d_name, ending, wanted);
	if (fds != NULL)
		closedir(fds);
	return found;
}

/* The handle comes before the look: a number that is used anew meanwhile gets no signal. */
static void signal_holder(const char *pid_text, const char *ending, const struct stat *wanted,
			  int sig)
{
	SCOPED_FD int handle = -1;
	uint64_t pid;

	if (!text_u64(&pid, pid_text, 2, INT32_MAX) || (pid_t)pid == getpid())
		return;
	handle = pidfd_open((pid_t)pid, 0);
	if (handle >= 0 && has_open(pid_text, ending, wanted))
		(void)pidfd_send_signal(handle, sig, NULL, 0);
}

static void signal_holders(const char *folder, int sig)
{
	SCOPED_TEXT char *lock = path_join(folder, "lock");
	SCOPED_TEXT char *ending = alloc_printf("/%s/lock", path_base(folder));
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	struct stat wanted;

	while (proc != NULL && stat(lock, &wanted) == 0 && (e = readdir(proc)) != NULL)
		signal_holder(e->d_name, ending, &wanted, sig);
	if (proc != NULL)
		closedir(proc);
}

static uint64_t ms_of(const json_t *intent, const char *key, int64_t without)
{
	int64_t seconds = jsondoc_int(intent, key, without);

	return seconds > 0 ? (uint64_t)MIN_OF(seconds, INT32_MAX) * 1000 : 0;
}

enum orphan orphan_tend(const char *folder, const json_t *intent, uint64_t boot_ms)
{
	uint64_t limit_ms = ms_of(intent, "timeout_s", 0);
	uint64_t began_ms, asked_ms;

	if (!orphan_is_alone(folder))
		return ORPHAN_NONE;
	if (limit_ms == 0 || !read_start(&began_ms, folder) || boot_ms < began_ms + limit_ms)
		return ORPHAN_ALONE;
	if (!read_mark(&asked_ms, folder)) {
		log_warn("run %s has lost its parent and is over its time limit: it is ended",
			 path_base(folder));
		write_mark(folder, boot_ms);
		signal_holders(folder, SIGTERM);
	} else if (boot_ms >= asked_ms + ms_of(intent, "grace_s", REAP_GRACE_S)) {
		signal_holders(folder, SIGKILL);
	}
	return ORPHAN_OVERDUE;
}
