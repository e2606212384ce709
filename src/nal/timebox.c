#include "nal/timebox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spawn.h"
#include "common/wire.h"

#define REAP_MS 50

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* A pipe that somebody reads to its end is one of these: a stuck child would keep it open. */
static void leave_standard(const int *kept, size_t count)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		if (bsearch(&fd, kept, count, sizeof(kept[0]), by_number) == NULL)
			(void)dup2(null, fd);
}

/* A stuck child must not hold the parent's sockets and locks open. */
static void close_others(int socket, const int keep[TIMEBOX_KEEP_MAX])
{
	int kept[TIMEBOX_KEEP_MAX + 1] = { socket };
	unsigned from = 3;

	memcpy(kept + 1, keep, TIMEBOX_KEEP_MAX * sizeof(keep[0]));
	qsort(kept, COUNT_OF(kept), sizeof(kept[0]), by_number);
	leave_standard(kept, COUNT_OF(kept));
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		if (kept[i] < (int)from)
			continue;
		if ((unsigned)kept[i] > from)
			(void)close_range(from, (unsigned)kept[i] - 1, 0);
		from = (unsigned)kept[i] + 1;
	}
	(void)close_range(from, ~0U, 0);
}

/* For good: no saved id is left to go back to. What fails here must not go on with our rights. */
static void take_account(const struct timebox_user *as)
{
	const struct spawn_user user = {
		.uid = as->uid, .gid = as->gid, .groups = as->groups, .group_count = as->group_count
	};

	if (!spawn_take_account(&user))
		_exit(1);
}

static void be_child(int socket, timebox_fn *work, void *ctx, const int keep[TIMEBOX_KEEP_MAX],
		     const struct timebox_user *as, pid_t parent)
{
	sigset_t none;

	if (as != NULL)
		take_account(as);
	/* A change of account takes this back, so it comes after. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_others(socket, keep);
	work(socket, ctx);
	_exit(0);
}

bool timebox_start(struct timebox *box, timebox_fn *work, void *ctx,
		   const int keep[TIMEBOX_KEEP_MAX], struct err *err)
{
	pid_t parent = getpid();
	int pair[2];

	if (box->child != 0)
		return err_set(err, ERR_IN_USE, "another call there is under way");
	if (timebox_is_stuck(box))
		return err_set(err, ERR_NET_TIMEOUT, "an earlier call there hangs still");
	if (!wire_pair(pair, err))
		return false;
	box->child = fork();
	if (box->child == 0)
		be_child(pair[1], work, ctx, keep, box->as, parent);
	close(pair[1]);
	if (box->child < 0) {
		box->child = 0;
		close(pair[0]);
		return err_sys(err, ERR_IO, errno, "start a child");
	}
	box->socket = pair[0];
	return true;
}

enum nal_class timebox_start_class(const struct err *err)
{
	if (err->code == ERR_NET_TIMEOUT)
		return NAL_CLASS_TIMEOUT;
	return err->code == ERR_IN_USE ? NAL_CLASS_BUSY : NAL_CLASS_UNKNOWN;
}

/* Wait until the socket has something; what is left of the time is counted in `deadline_ms`. */
static enum timebox_result wait_readable(int socket, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = { .fd = socket, .events = POLLIN };
		uint64_t now = clock_mono_ms(clock_system());
		int left = deadline_ms > now ? (int)(deadline_ms - now) : 0;
		int n = poll(&p, 1, left);

		if (n > 0)
			return TIMEBOX_DONE;
		if (n == 0 && left == 0)
			return TIMEBOX_LATE;
		if (n < 0 && errno != EINTR)
			return TIMEBOX_ENDED;
	}
}

/* One recvmsg, with a descriptor if one came along. */
static ssize_t receive(int *fd_out, int socket, void *dst, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { .iov_base = dst, .iov_len = size };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		int fd;

		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (fd_out != NULL && *fd_out < 0)
			*fd_out = fd;
		else
			close(fd);
	}
	return n;
}

static enum timebox_result read_until(size_t *got_out, int *fd_out, struct timebox *box, void *dst,
				      size_t at_least, size_t at_most, uint32_t timeout_ms)
{
	uint64_t deadline = clock_mono_ms(clock_system()) + timeout_ms;
	size_t have = 0;

	while (have < at_least) {
		enum timebox_result result = wait_readable(box->socket, deadline);
		ssize_t n;

		if (result != TIMEBOX_DONE)
			return result;
		n = receive(fd_out, box->socket, (char *)dst + have, at_most - have);
		if (n <= 0)
			return TIMEBOX_ENDED;
		have += (size_t)n;
	}
	*got_out = have;
	return TIMEBOX_DONE;
}

enum timebox_result timebox_read(struct timebox *box, void *dst, size_t size, uint32_t timeout_ms)
{
	size_t got;

	return read_until(&got, NULL, box, dst, size, size, timeout_ms);
}

enum timebox_result timebox_read_some(size_t *got_out, struct timebox *box, void *dst, size_t size,
				      uint32_t timeout_ms)
{
	return read_until(got_out, NULL, box, dst, 1, size, timeout_ms);
}

enum timebox_result timebox_read_fd(int *fd_out, struct timebox *box, void *dst, size_t size,
				    uint32_t timeout_ms)
{
	size_t got;

	*fd_out = -1;
	return read_until(&got, fd_out, box, dst, size, size, timeout_ms);
}

/* True if the process is gone: reaped now, or by somebody's waitpid(-1) before. */
static bool is_gone(pid_t pid)
{
	pid_t n;

	do
		n = waitpid(pid, NULL, WNOHANG);
	while (n < 0 && errno == EINTR);
	return n == pid || (n < 0 && errno == ECHILD);
}

/* Wait for the end of a killed child; the kernel may keep it in a call that cannot be broken. */
static bool wait_gone(pid_t pid)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };

	if (p.fd >= 0) {
		(void)poll(&p, 1, REAP_MS);
		close(p.fd);
	}
	return is_gone(pid);
}

void timebox_end(struct timebox *box)
{
	if (box->child == 0)
		return;
	close(box->socket);
	box->socket = -1;
	(void)kill(box->child, SIGKILL);
	if (!wait_gone(box->child))
		box->stuck = box->child;
	box->child = 0;
}

bool timebox_is_stuck(struct timebox *box)
{
	if (box->stuck != 0 && is_gone(box->stuck))
		box->stuck = 0;
	return box->stuck != 0;
}

void timebox_came_late(struct timebox *box)
{
	box->late_ms = clock_mono_ms(clock_system());
}

void timebox_came_in_time(struct timebox *box)
{
	box->late_ms = 0;
}

bool timebox_is_hung(struct timebox *box)
{
	if (timebox_is_stuck(box))
		return true;
	return box->late_ms != 0 && clock_mono_ms(clock_system()) - box->late_ms < TIMEBOX_HUNG_MS;
}

bool timebox_write(int socket, const void *bytes, size_t size, int pass_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	const char *at = bytes;

	while (size > 0) {
		struct iovec part = { .iov_base = (void *)(uintptr_t)at, .iov_len = size };
		struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
		ssize_t n;

		if (pass_fd >= 0) {
			msg.msg_control = control.bytes;
			msg.msg_controllen = sizeof(control.bytes);
			struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
		}
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		pass_fd = -1;
		at += n;
		size -= (size_t)n;
	}
	return true;
}
