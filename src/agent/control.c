#include "agent/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"

#define QUEUE_MAX 64 /* commands that wait to be accepted */

static bool make_folder_of(const char *path, struct err *err)
{
	SCOPED_TEXT char *dir = alloc_printf("%.*s", (int)(path_base(path) - path), path);
	size_t size = strlen(dir);

	while (size > 1 && dir[size - 1] == '/')
		dir[--size] = '\0';
	return path_make_dirs(dir, 0755, err);
}

bool control_listen(int *fd_out, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		err_set(err, ERR_LIMIT, "the path of the control socket %s is too long", path);
		return err_fix(err, "choose a state folder with a shorter path");
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (!make_folder_of(path, err))
		return false;
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "control socket %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Whoever reaches it is asked for by the kernel (control_accept); the folder may say no
	 * first. */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(path, 0666) != 0 || listen(fd, QUEUE_MAX) != 0) {
		err_sys(err, ERR_IO, errno, "control socket %s", path);
		path_close_fd(&fd);
		return false;
	}
	*fd_out = fd;
	return true;
}

bool control_accept(int *fd_out, uid_t *uid_out, int listener)
{
	const struct timeval patience = { .tv_sec = CONTROL_SEND_S };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
		close(fd);
		return false;
	}
	/* A command that was stopped (^Z) must not stop the worker that serves it. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) {
		close(fd);
		return false;
	}
	*fd_out = fd;
	*uid_out = peer.uid;
	return true;
}

bool control_reach(int *fd_out, const char *path, uint32_t wait_ms)
{
	const struct timeval patience = { .tv_sec = (time_t)(wait_ms / 1000),
					  .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	/* A path that does not fit was not bound either: there is no agent. */
	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return false;
	}
	*fd_out = fd;
	return true;
}
