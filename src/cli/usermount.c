#include "cli/usermount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/wire.h"
#include "nal/mounts.h"

#define FSTYPE   "fuse.packway"
#define COMM_FD  3 /* where fusermount3 sends the descriptor */
#define COMM_ENV "_FUSE_COMMFD"
#define END_MS   10000
#define DEVICE   "/dev/fuse"
#define OPTIONS  "ro,nosuid,nodev,noatime,subtype=packway,fsname="

static const char *find_program(struct err *err)
{
	static const char *const places[] = { "/usr/bin/fusermount3", "/bin/fusermount3" };

	for (size_t i = 0; i < COUNT_OF(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	err_set(err, ERR_UNSUPPORTED, "users mount by fusermount3, which is not installed");
	err_fix(err, "install fuse3, or fetch the package instead: packway fetch ID -o DIR");
	return NULL;
}

/* True if it ended well. */
static bool run(const char *const *argv, struct spawn_fd comm, struct err *err)
{
	const struct spawn s = { .argv = argv, .fds = &comm, .fd_count = comm.from >= 0 ? 1 : 0 };
	pid_t pid;
	int status = -1;

	if (!spawn_start(&pid, &s, err))
		return false;
	if (spawn_wait(&status, pid, END_MS) == SPAWN_RUNNING)
		return err_set(err, ERR_IO, "fusermount3 does not end");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int receive_fd(int socket)
{
	char byte;
	struct iovec place = { .iov_base = &byte, .iov_len = 1 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = &place,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *head;
	int fd = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	head = CMSG_FIRSTHDR(&message);
	if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

bool usermount_open(int *fd_out, const char *at, const char *source, struct err *err)
{
	SCOPED_TEXT char *options = alloc_printf(OPTIONS "%s", source);
	SCOPED_TEXT char *number = alloc_printf("%d", COMM_FD);
	const char *program = find_program(err);
	const char *argv[] = { program, "-o", options, "--", at, NULL };
	SCOPED_FD int ours = -1;
	int pair[2];
	bool done;

	if (program == NULL)
		return false;
	if (access(DEVICE, R_OK | W_OK) != 0) {
		err_set(err, ERR_UNSUPPORTED, "this machine has no FUSE that can be used: %s: %s",
			DEVICE, strerror(errno));
		return err_fix(err,
			       "load the kernel's module (modprobe fuse), or fetch the package "
			       "instead: packway fetch ID -o DIR");
	}
	if (!wire_pair(pair, err))
		return false;
	ours = pair[0];
	(void)setenv(COMM_ENV, number, 1);
	done = run(argv, (struct spawn_fd){ pair[1], COMM_FD }, err);
	(void)unsetenv(COMM_ENV);
	close(pair[1]);
	*fd_out = done ? receive_fd(ours) : -1;
	if (*fd_out >= 0)
		return true;
	err_set(err, ERR_PERMISSION, "fusermount3 does not let you mount at %s", at);
	return err_fix(err, "take an empty folder that is yours");
}

/* True if the user has a mount of ours there. */
static bool is_there(const char *at, struct err *err)
{
	SCOPED(mounts) struct mounts table = { 0 };

	if (!mounts_read(&table, NULL, err))
		return false;
	for (size_t i = 0; i < table.count; i++)
		if (strcmp(table.entries[i].target, at) == 0 &&
		    strcmp(table.entries[i].fstype, FSTYPE) == 0 &&
		    table.entries[i].fuse_uid == (int64_t)geteuid())
			return true;
	err_set(err, ERR_NOT_FOUND, "you have nothing of packway mounted at %s", at);
	return err_fix(err, "see what is mounted: findmnt -t " FSTYPE);
}

bool usermount_close(const char *at, struct err *err)
{
	const char *program = find_program(err);
	const char *const argv[] = { program, "-u", "--", at, NULL };

	if (program == NULL || !is_there(at, err))
		return false;
	if (run(argv, (struct spawn_fd){ .from = -1 }, err))
		return true;
	err_set(err, ERR_IN_USE, "%s cannot be unmounted: somebody uses it", at);
	return err_fix(err, "end what works there; see: fuser -vm %s", at);
}

void usermount_drop(const char *at)
{
	struct err ignored;
	const char *program = find_program(&ignored);
	const char *const argv[] = { program, "-u", "-z", "--", at, NULL };

	if (program != NULL)
		(void)!run(argv, (struct spawn_fd){ .from = -1 }, &ignored);
}
