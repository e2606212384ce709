#include "site/serve.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "site/deltas.h"
#include "site/distribute.h"
#include "site/intake.h"
#include "site/publish.h"
#include "site/server.h"
#include "site/sitekeys.h"
#include "site/upkeep.h"

#define RENEW_S    3600 /* publish without a change, so that what grows old is signed again */
#define RETRY_S    30   /* before a publish that a CAP did not get is tried again, at first */
#define PATIENCE_S 10   /* with a CAP; a slower one goes on beside what comes next */
#define RESTART_S  2    /* before a process of the cycles that died is started again */
#define SWEEPS_MAX 8    /* intakes one after another while there is more */

struct serve;

/* What a process of the cycles does until it is told to end. `wake` becomes readable for uploads.
 */
typedef void (*cycle_fn)(struct serve *s, struct site *site, int wake);

struct helper {
	struct serve *serve;
	cycle_fn run;
	pid_t pid;
	struct event *restart;
};

enum {
	HELPER_POLICY,
	HELPER_DISTRIBUTE,
	HELPER_DELTAS,
	HELPER_COUNT_,
};

struct serve {
	struct site *site;
	const struct serve_options *options;
	struct event_base *base;
	struct server *server;
	struct helper helpers[HELPER_COUNT_];
	int wake[2]; /* an upload arrived: a byte goes through */
};

/* ---- the cycles ---- */

static void complain(const char *what, struct err *err)
{
	err_what(err, "%s", what);
	log_error(err);
}

/* Once for each wait, with the days that are left; `status` goes on saying it. */
static void tell_waiting(json_t **told, struct site *site, const json_t *waiting)
{
	json_auto_t *rows = NULL;
	struct err err;
	json_t *row;
	size_t i;

	if (json_equal(*told, waiting) || !sitekeys_list(&rows, site, &err))
		return;
	json_decref(*told);
	*told = json_deep_copy(waiting);
	json_array_foreach (rows, i, row) {
		SCOPED_TEXT char *text = sitekeys_new_waiting(row);

		if (text != NULL)
			log_warn("%s", text);
	}
}

/* False if something that may pass kept a CAP from its policy: try again soon. */
static bool publish_once(struct serve *s, struct publish *publish, json_t **told)
{
	json_auto_t *doc = NULL;
	struct err err = { 0 };
	size_t failed;

	if (!publish_pass(&doc, &failed, publish, &s->options->settings, PATIENCE_S, &err)) {
		bool is_lasting = err.code == ERR_REFUSED;

		complain("publishing", &err);
		return is_lasting;
	}
	tell_waiting(told, s->site, json_object_get(doc, "waiting"));
	if (failed > 0)
		log_warn("%zu CAPs did not get the new policy", failed);
	return failed == 0;
}

/* How long until the next publish, if nothing changes before. */
static uint64_t publish_wait_ms(unsigned int failures)
{
	uint64_t wait_s = failures == 0 ? RENEW_S : RETRY_S;

	for (unsigned int i = 1; i < failures && wait_s < RENEW_S; i++)
		wait_s *= 2;
	return MIN_OF(wait_s, (uint64_t)RENEW_S) * 1000;
}

static void intake_once(struct site *site)
{
	struct intake_result result;
	struct err err = { 0 };

	/* Not until a flood ends: policy waits in the same process. */
	for (int round = 0; round < SWEEPS_MAX; round++) {
		if (!intake_run(&result, site, &err)) {
			complain("taking uploads in", &err);
			return;
		}
		if (!result.is_more || result.counts.envelopes == 0)
			return;
	}
}

/* True when the database says something that was not published yet. */
static bool has_changed(struct site *site, int64_t *seen)
{
	struct err err = { 0 };
	int64_t now;

	if (!site_changes(&now, site, &err) || now == *seen)
		return false;
	*seen = now;
	return true;
}

/* True if an upload arrived. */
static bool wait_for_upload(int wake, int64_t seconds)
{
	struct pollfd p = { .fd = wake, .events = POLLIN };
	char drained[256];

	if (poll(&p, 1, (int)(seconds * 1000)) <= 0)
		return false;
	(void)!read(wake, drained, sizeof(drained));
	return true;
}

static bool is_due(uint64_t last_ms, int64_t every_s, uint64_t now_ms)
{
	return last_ms == 0 || now_ms - last_ms >= (uint64_t)every_s * 1000;
}

static void run_policy(struct serve *s, struct site *site, int wake)
{
	int64_t look_s = MIN_OF(s->options->publish_every_s, s->options->intake_every_s);
	SCOPED(publish) struct publish *publish = publish_open(site);
	json_auto_t *told = json_array();
	uint64_t publish_at_ms = 0, swept_ms = 0;
	unsigned int failures = 0;
	bool has_upload = false;
	int64_t seen = -1;

	for (;;) {
		uint64_t now_ms = clock_mono_ms(site->clock);

		if (has_changed(site, &seen) || now_ms >= publish_at_ms) {
			failures = publish_once(s, publish, &told) ? 0 : failures + 1;
			publish_at_ms = clock_mono_ms(site->clock) + publish_wait_ms(failures);
		}
		if (has_upload || is_due(swept_ms, s->options->intake_every_s, now_ms)) {
			intake_once(site);
			swept_ms = now_ms;
		}
		has_upload = wait_for_upload(wake, MAX_OF(look_s, 1));
	}
}

static void run_distribute(struct serve *s, struct site *site, int wake UNUSED)
{
	const struct distribute_options options = { .keep_s = s->options->keep_s };

	for (;;) {
		struct err err = { 0 };

		if (!distribute_keep_up(site, &options, MAX_OF(s->options->distribute_every_s, 1),
					&err))
			complain("distributing", &err);
		sleep(RESTART_S);
	}
}

static void keep_up(struct serve *s, struct site *site)
{
	const struct upkeep_options options = { .keep_s = s->options->keep_s };
	struct err err = { 0 };

	if (!upkeep_run(site, &options, &err) && err.code != ERR_LOCKED)
		complain("upkeep of the library", &err);
}

/* Behind distribution: a version goes out before its patches are ready. */
static void run_deltas(struct serve *s, struct site *site, int wake UNUSED)
{
	const struct deltas_options options = {
		.memory_max = s->options->patch_memory,
		.cpu_percent = s->options->patch_cpu,
	};
	uint64_t kept_ms = 0;

	for (;;) {
		struct err err = { 0 };

		sleep((unsigned int)MAX_OF(s->options->distribute_every_s, 1));
		if (!deltas_run(site, &options, &err) && err.code != ERR_LOCKED)
			complain("making patches", &err);
		if (is_due(kept_ms, UPKEEP_EVERY_S, clock_mono_ms(site->clock))) {
			keep_up(s, site);
			kept_ms = clock_mono_ms(site->clock);
		}
	}
}

/* ---- their processes ---- */

/* In the child: nothing of the server's is used again, and it ends with its parent. */
static void become_helper(struct helper *h, pid_t parent)
{
	struct serve *s = h->serve;
	struct site *site = NULL;
	struct err err = { 0 };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	server_let_go(s->server);
	if (!site_open_again(&site, s->site, &err)) {
		complain("starting a cycle", &err);
		_exit(1);
	}
	h->run(s, site, s->wake[0]);
	_exit(0);
}

/* A signal that comes before the child has its own handlers waits for them: ours would eat it. */
static void start_helper(struct helper *h)
{
	pid_t parent = getpid();
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	h->pid = fork();
	if (h->pid == 0)
		become_helper(h, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (h->pid < 0)
		h->pid = 0;
}

static void on_restart(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	start_helper(ctx);
}

static void on_child(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	static const struct timeval moment = { .tv_sec = RESTART_S };
	struct serve *s = ctx;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < HELPER_COUNT_; i++)
			if (s->helpers[i].pid == pid) {
				s->helpers[i].pid = 0;
				event_add(s->helpers[i].restart, &moment);
			}
}

static void on_end(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct serve *s = ctx;

	event_base_loopbreak(s->base);
}

static void on_upload(void *ctx)
{
	struct serve *s = ctx;

	(void)!write(s->wake[1], "u", 1);
}

static void stop_helpers(struct serve *s)
{
	for (size_t i = 0; i < HELPER_COUNT_; i++)
		if (s->helpers[i].pid > 0)
			kill(s->helpers[i].pid, SIGTERM);
	for (size_t i = 0; i < HELPER_COUNT_; i++)
		if (s->helpers[i].pid > 0)
			waitpid(s->helpers[i].pid, NULL, 0);
}

/* ---- all ---- */

/* Ten thousand clients that stay connected are ten thousand descriptors. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void loop(struct serve *s)
{
	struct event *events[] = {
		evsignal_new(s->base, SIGTERM, on_end, s),
		evsignal_new(s->base, SIGINT, on_end, s),
		evsignal_new(s->base, SIGCHLD, on_child, s),
	};

	for (size_t i = 0; i < COUNT_OF(events); i++)
		evsignal_add(events[i], NULL);
	for (size_t i = 0; i < HELPER_COUNT_; i++) {
		s->helpers[i].restart = evtimer_new(s->base, on_restart, &s->helpers[i]);
		start_helper(&s->helpers[i]);
	}
	if (s->options->ready != NULL)
		s->options->ready(s->options->ctx);
	event_base_dispatch(s->base);
	stop_helpers(s);
	for (size_t i = 0; i < HELPER_COUNT_; i++)
		event_free(s->helpers[i].restart);
	for (size_t i = 0; i < COUNT_OF(events); i++)
		event_free(events[i]);
}

bool serve_run(struct site *site, const struct serve_options *options, struct err *err)
{
	struct serve s = {
		.site = site,
		.options = options,
		.helpers = {
			[HELPER_POLICY] = { .serve = &s, .run = run_policy },
			[HELPER_DISTRIBUTE] = { .serve = &s, .run = run_distribute },
			[HELPER_DELTAS] = { .serve = &s, .run = run_deltas },
		},
		.wake = { -1, -1 },
	};
	const struct server_options server = {
		.listen = options->listen,
		.tls_cert = options->tls_cert,
		.tls_key = options->tls_key,
		.reserve = options->reserve,
		.arrived = on_upload,
		.ctx = &s,
	};
	bool done;

	raise_limits();
	if (pipe2(s.wake, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_sys(err, ERR_IO, errno, "pipe");
	s.base = event_base_new();
	done = server_open(&s.server, s.base, site, &server, err);
	if (done)
		loop(&s);
	server_close(s.server);
	event_base_free(s.base);
	path_close_fd(&s.wake[0]);
	path_close_fd(&s.wake[1]);
	return done;
}
