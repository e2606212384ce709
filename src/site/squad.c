#include "site/squad.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"

#define LOOK_MS 50

struct hand {
	int64_t id;
	pid_t pid;
	uint64_t since_ms;
};

struct squad {
	struct site *site;
	squad_fn *work;
	void *ctx;
	struct hand *hands; /* those that run */
	size_t count;
	size_t failed;
};

struct squad *squad_new(struct site *site, squad_fn *work, void *ctx)
{
	struct squad *squad = alloc_zeroed(1, sizeof(*squad));

	*squad = (struct squad){ .site = site, .work = work, .ctx = ctx };
	return squad;
}

/* Ends with its parent, and by the signals that a command ends by. */
static void become_child(pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void do_work(const struct squad *squad, int64_t id, const char *name)
{
	struct site *site = NULL;
	struct err err = { 0 };

	if (site_open_again(&site, squad->site, &err) && squad->work(site, id, squad->ctx, &err))
		_exit(0);
	if (err.code != ERR_NONE) {
		err_what(&err, "at work for %s", name);
		log_error(&err);
	}
	_exit(1);
}

bool squad_start(struct squad *squad, int64_t id, const char *name, struct err *err)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	assert(!squad_is_running(squad, id));
	if (pid < 0)
		return err_sys(err, ERR_IO, errno, "starting a process for %s", name);
	if (pid == 0) {
		become_child(parent);
		do_work(squad, id, name);
	}
	ALLOC_GROW(squad->hands, squad->count);
	squad->hands[squad->count++] = (struct hand){
		.id = id,
		.pid = pid,
		.since_ms = clock_mono_ms(squad->site->clock),
	};
	return true;
}

static void let_go(struct squad *squad, size_t i, int status)
{
	squad->failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	squad->hands[i] = squad->hands[--squad->count];
}

size_t squad_collect(struct squad *squad)
{
	for (size_t i = squad->count; i-- > 0;) {
		int status = 0;
		pid_t got = waitpid(squad->hands[i].pid, &status, WNOHANG);

		if (got != 0)
			let_go(squad, i, got > 0 ? status : -1);
	}
	return squad->count;
}

bool squad_is_running(const struct squad *squad, int64_t id)
{
	for (size_t i = 0; i < squad->count; i++)
		if (squad->hands[i].id == id)
			return true;
	return false;
}

size_t squad_failed(const struct squad *squad)
{
	return squad->failed;
}

void squad_put_off(struct squad *squad, uint64_t ms)
{
	uint64_t now_ms = clock_mono_ms(squad->site->clock);

	for (size_t i = squad->count; i-- > 0;) {
		int status = -1;

		if (now_ms - squad->hands[i].since_ms < ms)
			continue;
		kill(squad->hands[i].pid, SIGTERM);
		(void)waitpid(squad->hands[i].pid, &status, 0);
		let_go(squad, i, status);
	}
}

void squad_pause(const struct squad *squad)
{
	struct pollfd *ends = alloc_zeroed(squad->count + 1, sizeof(*ends));

	/* A descriptor that could not be had is negative, which poll passes over. */
	for (size_t i = 0; i < squad->count; i++)
		ends[i] = (struct pollfd){ .fd = pidfd_open(squad->hands[i].pid, 0),
					   .events = POLLIN };
	(void)poll(ends, squad->count, LOOK_MS);
	for (size_t i = 0; i < squad->count; i++)
		path_close_fd(&ends[i].fd);
	free(ends);
}

void squad_free(struct squad *squad)
{
	if (squad == NULL)
		return;
	squad_put_off(squad, 0);
	free(squad->hands);
	free(squad);
}
