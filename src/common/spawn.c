#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/path.h"

#define GROUPS_MAX    1024
#define FD_TARGET_MAX 64 /* targets lie below, copies on their way above */

/* What the new process tells about a failed start. */
enum step {
	STEP_FDS,
	STEP_SESSION,
	STEP_LIMITS,
	STEP_ACCOUNT,
	STEP_FOLDER,
	STEP_LAST,
	STEP_EXECUTE,
	STEP_COUNT_,
};

static const char *const step_names[] = {
	[STEP_FDS] = "set up descriptors for",
	[STEP_SESSION] = "make a process group for",
	[STEP_LIMITS] = "set limits for",
	[STEP_ACCOUNT] = "change the account for",
	[STEP_FOLDER] = "enter the working folder of",
	[STEP_LAST] = "prepare",
	[STEP_EXECUTE] = "execute",
};
static_assert(COUNT_OF(step_names) == STEP_COUNT_, "every step has a text");

struct report {
	enum step step;
	int sys_errno;
};

static bool is_listed(const struct spawn *s, int to)
{
	for (size_t i = 0; i < s->fd_count; i++)
		if (s->fds[i].to == to)
			return true;
	return false;
}

static bool shut_standard(const struct spawn *s, int fd)
{
	int null;

	if (is_listed(s, fd) || (s->flags & SPAWN_KEEP_STDIO) != 0 ||
	    (fd == STDERR_FILENO && (s->flags & SPAWN_KEEP_STDERR) != 0))
		return true;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return false;
	/* dup2 onto itself would leave close-on-exec set. */
	if (null == fd)
		return fcntl(fd, F_SETFD, 0) == 0;
	if (dup2(null, fd) < 0)
		return false;
	close(null);
	return true;
}

/* Everything closes at execve except what the list places and the standard three. */
static bool place_fds(const struct spawn *s, int *report_fd)
{
	int copies[SPAWN_FDS_MAX];
	int moved;

	if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
		return false;
	moved = fcntl(*report_fd, F_DUPFD_CLOEXEC, FD_TARGET_MAX);
	if (moved < 0)
		return false;
	*report_fd = moved;
	/* First out of the way of all targets, then to their places. */
	for (size_t i = 0; i < s->fd_count; i++) {
		copies[i] = fcntl(s->fds[i].from, F_DUPFD_CLOEXEC, FD_TARGET_MAX);
		if (copies[i] < 0)
			return false;
	}
	for (size_t i = 0; i < s->fd_count; i++)
		if (dup2(copies[i], s->fds[i].to) < 0)
			return false;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (!shut_standard(s, fd))
			return false;
	return true;
}

static bool enter_session(const struct spawn *s)
{
	if ((s->flags & SPAWN_NEW_SESSION) != 0 && setsid() < 0)
		return false;
	if ((s->flags & SPAWN_NEW_GROUP) != 0 && setpgid(0, 0) != 0)
		return false;
	return true;
}

/* Taking on an account makes the kernel forget the wish, so this comes after. */
static bool tie_to_parent(const struct spawn *s, pid_t parent)
{
	if ((s->flags & SPAWN_DIE_WITH_PARENT) == 0)
		return true;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return false;
	/* The parent may have died before the wish was on record. */
	if (getppid() != parent)
		_exit(127);
	return true;
}

static bool set_limits(const struct spawn *s)
{
	for (size_t i = 0; i < s->limit_count; i++) {
		struct rlimit limit = { s->limits[i].value, s->limits[i].value };

		if (setrlimit((__rlimit_resource_t)s->limits[i].resource, &limit) != 0)
			return false;
	}
	return true;
}

static bool has_group(const gid_t *groups, int count, gid_t wanted)
{
	for (int i = 0; i < count; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static bool has_groups(const struct spawn_user *u)
{
	gid_t have[GROUPS_MAX];
	int count = getgroups(GROUPS_MAX, have);

	if (count < 0 || (size_t)count != u->group_count)
		return false;
	for (size_t i = 0; i < u->group_count; i++)
		if (!has_group(have, count, u->groups[i]))
			return false;
	return true;
}

/* Between two accounts that are not root's the kernel leaves a process its capabilities. */
static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	/* An old kernel has no ambient ones. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) == 0;
}

bool spawn_take_account(const struct spawn_user *u)
{
	return (has_groups(u) || setgroups(u->group_count, u->groups) == 0) &&
	       setresgid(u->gid, u->gid, u->gid) == 0 && setresuid(u->uid, u->uid, u->uid) == 0 &&
	       (u->uid == 0 || drop_capabilities());
}

static bool take_account(const struct spawn *s)
{
	if (s->user != NULL && !spawn_take_account(s->user))
		return false;
	return (s->flags & SPAWN_NO_NEW_PRIVILEGES) == 0 ||
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Returns the step that failed, with errno set. */
static enum step become(const struct spawn *s, pid_t parent, int *report_fd)
{
	int failed;

	if (!place_fds(s, report_fd))
		return STEP_FDS;
	if (!enter_session(s))
		return STEP_SESSION;
	if (!set_limits(s))
		return STEP_LIMITS;
	if (!take_account(s))
		return STEP_ACCOUNT;
	if (!tie_to_parent(s, parent))
		return STEP_SESSION;
	if (s->cwd != NULL && chdir(s->cwd) != 0)
		return STEP_FOLDER;
	reset_signals();
	failed = s->last != NULL ? s->last(s->ctx) : 0;
	if (failed != 0) {
		errno = failed;
		return STEP_LAST;
	}
	execve(s->argv[0], (char *const *)(uintptr_t)s->argv,
	       s->envp != NULL ? (char *const *)(uintptr_t)s->envp : environ);
	return STEP_EXECUTE;
}

static void run_child(const struct spawn *s, pid_t parent, int report_fd)
{
	struct report report;

	report.step = become(s, parent, &report_fd);
	report.sys_errno = errno;
	if (write(report_fd, &report, sizeof(report)) != sizeof(report))
		_exit(126);
	_exit(127);
}

/* Signals stay blocked over the fork, so that no handler of the caller runs in the child. */
static pid_t fork_quiet(sigset_t *old)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, old);
	pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, old, NULL);
	return pid;
}

bool spawn_start(pid_t *pid_out, const struct spawn *s, struct err *err)
{
	struct report report;
	pid_t parent = getpid(), pid;
	sigset_t old;
	int pipe_fds[2];
	ssize_t got;

	assert(s->argv != NULL && s->argv[0] != NULL && s->fd_count <= SPAWN_FDS_MAX);
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, errno, "start %s", s->argv[0]);
	pid = fork_quiet(&old);
	if (pid == 0)
		run_child(s, parent, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_sys(err, ERR_IO, errno, "start %s", s->argv[0]);
	}
	/* The pipe closes at execve, so that an empty end means success. */
	got = path_read_fd(pipe_fds[0], &report, sizeof(report));
	close(pipe_fds[0]);
	if (got == sizeof(report)) {
		(void)spawn_wait(NULL, pid, -1);
		/* That is what fcntl says of a number past the limit of open files. */
		if (report.step == STEP_FDS && report.sys_errno == EINVAL)
			report.sys_errno = EMFILE;
		return err_sys(err, ERR_IO, report.sys_errno, "%s %s",
			       step_names[report.step < STEP_COUNT_ ? report.step : STEP_FDS],
			       s->argv[0]);
	}
	*pid_out = pid;
	return true;
}

static bool wait_for_end(pid_t pid, int timeout_ms)
{
	SCOPED_FD int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	/* Gone already, or not to be watched: waitpid decides. */
	if (fd < 0)
		return true;
	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

enum spawn_wait spawn_wait(int *status_out, pid_t pid, int timeout_ms)
{
	int status = 0;
	pid_t got;

	if (timeout_ms > 0 && !wait_for_end(pid, timeout_ms))
		return SPAWN_RUNNING;
	do {
		got = waitpid(pid, &status, timeout_ms < 0 ? 0 : WNOHANG);
	} while (got < 0 && errno == EINTR);
	if (got == 0)
		return SPAWN_RUNNING;
	if (got < 0)
		return SPAWN_GONE;
	if (status_out != NULL)
		*status_out = status;
	return SPAWN_ENDED;
}

bool spawn_kill_group(pid_t pgid, int sig)
{
	assert(pgid > 1); /* 0, 1 and negative numbers mean more than one group */
	return kill(-pgid, sig) == 0;
}

void spawn_stop(pid_t pid, int grace_ms)
{
	if (!spawn_kill_group(pid, SIGTERM))
		(void)kill(pid, SIGTERM);
	if (spawn_wait(NULL, pid, grace_ms) != SPAWN_RUNNING)
		return;
	if (!spawn_kill_group(pid, SIGKILL))
		(void)kill(pid, SIGKILL);
	(void)spawn_wait(NULL, pid, -1);
}

bool spawn_outlive_parent(void)
{
	struct stat st;

	if (prctl(PR_SET_PDEATHSIG, 0) != 0 || signal(SIGTERM, SIG_IGN) == SIG_ERR)
		return false;
	if (fstat(STDERR_FILENO, &st) != 0 || !S_ISFIFO(st.st_mode))
		return true;
	return dup2(STDIN_FILENO, STDERR_FILENO) >= 0;
}
