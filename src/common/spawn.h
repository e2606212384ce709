/*
 * Start another program from a description, wait for it with a deadline, end its group.
 *
 * Whatever is not said is shut: descriptors that are not in the list do not reach the program,
 * standard input, output and error that are not in it are /dev/null, signals are back at their
 * defaults. Arguments are an array; no shell is ever involved.
 *
 *     struct spawn s = { .argv = (const char *const[]){ path, "--idle", NULL } };
 *     pid_t pid;
 *     done = spawn_start(&pid, &s, err) && spawn_wait(&status, pid, 5000);
 *
 * Linux only (close_range, pidfd). Meant for programs with one thread; with more, the caller must
 * give `envp` and no `last` that allocates.
 */
#ifndef COMMON_SPAWN_H
#define COMMON_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"

#define SPAWN_FDS_MAX 16 /* descriptors in a list */

enum spawn_flag {
	SPAWN_NEW_SESSION = 1 << 0,     /* setsid: no terminal, own process group */
	SPAWN_NEW_GROUP = 1 << 1,       /* own process group in the session of the caller */
	SPAWN_DIE_WITH_PARENT = 1 << 2, /* SIGKILL when the calling thread's process ends */
	SPAWN_KEEP_STDIO = 1 << 3,      /* 0, 1 and 2 that are not listed are inherited */
	SPAWN_KEEP_STDERR = 1 << 4,     /* only 2 is */
	SPAWN_NO_NEW_PRIVILEGES = 1 << 5,
};

struct spawn_fd {
	int from; /* the caller's descriptor, which stays the caller's */
	int to;   /* its number in the program, below 64 */
};

struct spawn_limit {
	int resource; /* RLIMIT_… */
	rlim_t value; /* soft and hard */
};

/* The account a program runs as; see account.h of the agent for how one is found. */
struct spawn_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary groups */
	size_t group_count;
};

struct spawn {
	const char *const *argv; /* argv[0] is the file to execute; ends with NULL */
	const char *const *envp; /* ends with NULL; NULL inherits the caller's */
	const char *cwd;         /* NULL: the caller's; entered after the account is taken on */
	const struct spawn_fd *fds;
	size_t fd_count;               /* at most SPAWN_FDS_MAX */
	const struct spawn_user *user; /* NULL: the caller's account */
	const struct spawn_limit *limits;
	size_t limit_count;
	unsigned int flags; /* enum spawn_flag */

	/*
	 * Called in the new process as the last thing before execve, with the account and folder
	 * already changed; only descriptors that it needs and `ctx` may be used. Returns 0, or an
	 * errno value that makes the start fail. NULL: nothing.
	 */
	int (*last)(void *ctx);
	void *ctx;
};

/*
 * Start the program. Returns once execve succeeded or the start failed; then `err` says which step
 * failed with the system's reason, and no process is left. ERR_NOT_FOUND: no such file.
 */
bool spawn_start(pid_t *pid_out, const struct spawn *s, struct err *err) MUST_USE;

/*
 * Take on an account in this process, for good: groups, ids, and no capability left unless it is
 * root's. Groups that are there already are not set, which a filter may forbid. False, with errno:
 * the process must end. For a new process; async-signal-safe.
 */
bool spawn_take_account(const struct spawn_user *user) MUST_USE;

enum spawn_wait {
	SPAWN_ENDED,   /* the process was reaped, its wait status is stored */
	SPAWN_RUNNING, /* still there at the deadline */
	SPAWN_GONE,    /* no such child: somebody else reaped it */
};

/*
 * Wait up to `timeout_ms` (-1: for ever, 0: only look) for a child. `status_out` is what waitpid
 * gives; NULL if it does not matter.
 */
enum spawn_wait spawn_wait(int *status_out, pid_t pid, int timeout_ms);

/* Send a signal to the process group `pgid`. False if there is none (any more). */
bool spawn_kill_group(pid_t pgid, int sig);

/*
 * End a child: SIGTERM to its group (or, where it leads none, to itself), SIGKILL after `grace_ms`,
 * then reap it. Blocks for at most the grace and the moment that SIGKILL takes.
 */
void spawn_stop(pid_t pid, int grace_ms);

/*
 * In a child that was started with SPAWN_DIE_WITH_PARENT: live on, out of the parent's sight, and
 * past the SIGTERM of a shutdown. Standard error is shut where it is a pipe, whose reader may wait
 * for its end; a log is written on.
 */
bool spawn_outlive_parent(void) MUST_USE;

#endif
