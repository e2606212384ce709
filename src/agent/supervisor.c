#include "agent/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/journal.h"
#include "agent/keeper.h"
#include "agent/mountpoint.h"
#include "agent/mountwatch.h"
#include "agent/orphan.h"
#include "agent/permit.h"
#include "agent/state.h"
#include "agent/workroom.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/random.h"
#include "common/spawn.h"
#include "common/text.h"
#include "common/wire.h"

#define REQUEST_WAIT_MS  30000 /* for a command that connected to say what it wants */
#define WORKER_GRACE_MS  2000
#define FIRST_DELAY_MS   60000
#define LOOK_PAUSE_MS    60000 /* between two cycles that only ended runs ask for */
#define LOOK_LATER_MS    3000  /* so long a command that waits for a run may tell its end itself */
#define PEEK_MS          30000 /* between two looks at runs, while there are any */
#define EXIT_RUNNING     3     /* of a cycle: programs go on, everything else is told */
#define FIRST_DELAY_PART 10

struct task {
	pid_t pid;
	uid_t caller;
	bool is_sync; /* a cycle of the schedule, not a command's */
	int line;     /* hangs up when the job's line to the shared worker does; -1: it has none */
};

struct supervisor {
	const struct supervisor_options *options;
	const struct clock *clock;
	struct state state;
	char client[33];
	int lock, listener, signals, watch;
	int worker; /* -1: none */
	pid_t worker_pid;
	struct task tasks[SUPERVISOR_JOBS_MAX];
	size_t task_count;
	uint64_t next_poll_ms;
	bool look_again;       /* a run ended, perhaps */
	uint64_t next_look_ms; /* no cycle for ended runs before: one that cannot be told must not
				  spin */
	uint64_t next_tend_ms; /* no cycle for runs without a parent before */
	uint64_t next_peek_ms; /* when to look at the runs again; 0: none is open */
	struct mountwatch mounts;
	uint64_t next_mount_ms; /* mounts come and go by the hundred on some machines: not before */
	int64_t plan_time_s;    /* of the plan.json that plan_poll_s is from */
	uint32_t plan_poll_s;
	bool splits_guests; /* workers have an account of their own, which is nobody's to change */
	bool stopping;
};

/* When. */

static uint64_t spread(const char *client, uint64_t below)
{
	struct random_seq r;

	/* The same for this client every time; unlike that of others. */
	random_seq_init(&r, 1, client);
	return below > 0 ? random_seq_below(&r, below) : 0;
}

uint64_t supervisor_next_poll(uint64_t now_ms, uint32_t poll_s, const char *client)
{
	uint64_t interval_ms = (uint64_t)poll_s * 1000;
	uint64_t phase_ms = spread(client, interval_ms);
	uint64_t turn = now_ms < phase_ms ? 0 : (now_ms - phase_ms) / interval_ms + 1;

	return turn * interval_ms + phase_ms;
}

uint64_t supervisor_first_delay(uint32_t poll_s, const char *client)
{
	uint64_t part_ms = (uint64_t)poll_s * 1000 / FIRST_DELAY_PART;

	return spread(client, MIN_OF(part_ms, (uint64_t)FIRST_DELAY_MS));
}

/* The plan may be large: it is read when it has changed, and its memory given back. */
static void learn_interval(struct supervisor *s)
{
	SCOPED_TEXT char *path = state_path(&s->state, "plan.json");
	json_t *plan = NULL;
	struct stat st;
	struct err err;

	if (stat(path, &st) != 0 || st.st_mtime == s->plan_time_s)
		return;
	s->plan_time_s = st.st_mtime;
	if (state_read_json(&plan, &s->state, "plan.json", &err))
		s->plan_poll_s = (uint32_t)jsondoc_int(plan, "poll_s", 0);
	json_decref(plan);
	malloc_trim(0);
}

static uint32_t poll_interval(struct supervisor *s)
{
	uint32_t poll_s = s->options->poll_s;

	if (poll_s == 0) {
		learn_interval(s);
		poll_s = s->plan_poll_s != 0 ? s->plan_poll_s : SUPERVISOR_POLL_S;
	}
	return MIN_OF(MAX_OF(poll_s, (uint32_t)SUPERVISOR_POLL_MIN_S),
		      (uint32_t)SUPERVISOR_POLL_MAX_S);
}

/* An identity may come (enroll) or go (reset) while we serve. */
static void learn_client(struct supervisor *s)
{
	SCOPED(state_identity) struct state_identity id = { 0 };
	struct err err;

	if (state_load_identity(&id, &s->state, &err))
		snprintf(s->client, sizeof(s->client), "%s", id.client);
}

/* The worker. */

static void forget_worker(struct supervisor *s)
{
	path_close_fd(&s->worker);
	s->worker = -1;
	if (s->worker_pid != 0 && spawn_wait(NULL, s->worker_pid, WORKER_GRACE_MS) == SPAWN_RUNNING)
		spawn_stop(s->worker_pid, WORKER_GRACE_MS);
	s->worker_pid = 0;
}

static struct job new_job(const struct supervisor *s)
{
	return (struct job){
		.state = &s->state,
		.settings = s->options->settings,
		.clock = s->clock,
		.worker = -1,
		.worker_token = -1,
		.caller = geteuid(),
	};
}

/* A line of its own to the shared worker; -1 where there is none: the job then starts its own. */
static int attach_to_worker(struct supervisor *s)
{
	json_auto_t *attach = json_pack("{s:s}", "op", "attach");
	struct job job = new_job(s);
	struct err err;
	int pair[2];
	bool sent;

	if (s->worker < 0 &&
	    !s->options->hooks->spawn_worker(&s->worker, &s->worker_pid, &job, &err)) {
		log_warn("no worker: %s", err.why);
		s->worker = -1;
		return -1;
	}
	if (!wire_pair(pair, &err))
		return -1;
	sent = wire_send_json(s->worker, attach, pair[1], &err);
	close(pair[1]);
	if (sent)
		return pair[0];
	close(pair[0]);
	forget_worker(s);
	return -1;
}

/* Jobs: everything below here that serves a request runs in a child. */

static bool pass_event(const json_t *event, void *ctx)
{
	int *peer = ctx;
	struct err err;

	if (*peer < 0 || wire_send_json(*peer, event, -1, &err))
		return true;
	/* Half a frame may be on its way: nothing can follow it. */
	(void)shutdown(*peer, SHUT_RDWR);
	return false;
}

static json_t *new_answer(bool done, json_t *result, const struct err *err)
{
	json_t *answer = json_object();

	if (done)
		jsondoc_set(answer, "done", result != NULL ? json_incref(result) : json_null());
	else
		jsondoc_set(answer, "error", jsondoc_new_error(err));
	return answer;
}

/* A descriptor that comes along is the job's until this process ends. */
static bool receive_request(json_t **out, struct job *job, int peer, struct err *err)
{
	int passed = -1;
	enum wire_result got = wire_receive_json(out, &passed, peer, REQUEST_WAIT_MS, err);

	if (passed > 0)
		job->passed = passed;
	switch (got) {
	case WIRE_FRAME:
		return true;
	case WIRE_FAILED:
		return false;
	case WIRE_END:
	case WIRE_TIMEOUT:
	default:
		return err_set(err, ERR_INTERRUPTED, "no request came");
	}
}

static bool do_request(json_t **result_out, struct supervisor *s, struct job *job, int peer,
		       struct err *err)
{
	json_auto_t *request = NULL;

	if (peer < 0)
		request = json_pack("{s:s,s:b}", "op", "sync", "for_person", 0);
	else if (!receive_request(&request, job, peer, err))
		return false;
	return s->options->hooks->run(result_out, job, request, err);
}

/*
 * Others than the owner cannot enter the state folder: they get the content as an open folder,
 * which is read-only by nature. -1 where the result names none.
 */
static int open_content(const json_t *result)
{
	const char *path = jsondoc_text(result, "path");

	return path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
}

static int passed_back(const struct job *job, const json_t *result)
{
	return job->passes > 0 ? job->passes : open_content(result);
}

static int exit_of(const json_t *result)
{
	return jsondoc_int(result, "running", 0) > 0 && !jsondoc_flag(result, "untold", false)
		       ? EXIT_RUNNING
		       : 0;
}

/* What a job gets of the shared worker: -1 where it has none. */
struct job_lines {
	int worker;
	int token; /* stays open as long as `worker` */
};

/* The child's whole life. */
static void be_job(struct supervisor *s, int peer, uid_t caller, const struct job_lines *lines)
{
	struct job job = new_job(s);
	json_auto_t *result = NULL, *answer = NULL;
	struct err err = { 0 };
	sigset_t none;
	bool done;

	/* A job dies with its supervisor; what it had begun is found again by the next. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	path_close_fd(&s->listener);
	path_close_fd(&s->signals);
	path_close_fd(&s->watch);
	path_close_fd(&s->lock);
	path_close_fd(&s->worker);
	job.worker = lines->worker;
	job.worker_token = lines->token;
	job.caller = caller;
	job.event = pass_event;
	job.event_ctx = &peer;
	done = do_request(&result, s, &job, peer, &err);
	if (!done && peer < 0)
		log_error(&err);
	answer = new_answer(done, result, &err);
	if (peer >= 0)
		(void)!wire_send_json(peer, answer, done ? passed_back(&job, result) : -1, &err);
	/* In a container the agent may be the init, to whom a child of ours would be left. */
	if (getppid() == 1) {
		path_close_fd(&peer);
		job_finish(&job);
		keeper_reap(&job);
	}
	_exit(done ? exit_of(result) : 1);
}

static size_t count_guests(const struct supervisor *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->task_count; i++)
		count += permit_is_guest(s->tasks[i].caller);
	return count;
}

static bool has_line(const struct task *task)
{
	struct pollfd p = { .fd = task->line };

	return task->line >= 0 && (poll(&p, 1, 0) <= 0 || (p.revents & POLLHUP) == 0);
}

/* A guest's fetch may take its time: nobody else waits for the worker that does it. */
static bool may_share(const struct supervisor *s, uid_t caller)
{
	/* The shared worker takes on nobody's account; one of the guest's own takes on the guest's.
	 */
	if (s->splits_guests && permit_is_guest(caller))
		return false;
	for (size_t i = 0; i < s->task_count; i++) {
		const struct task *other = &s->tasks[i];

		if (other->caller != caller &&
		    (permit_is_guest(other->caller) || permit_is_guest(caller)) && has_line(other))
			return false;
	}
	return true;
}

static void start_job(struct supervisor *s, int peer, uid_t caller)
{
	struct job_lines lines = { .worker = -1, .token = -1 };
	struct task task = { .caller = caller, .is_sync = peer < 0, .line = -1 };
	int pair[2];

	if (may_share(s, caller))
		lines.worker = attach_to_worker(s);
	if (lines.worker >= 0 && pipe2(pair, O_CLOEXEC) == 0) {
		task.line = pair[0];
		lines.token = pair[1];
	}
	task.pid = fork();
	if (task.pid == 0)
		be_job(s, peer, caller, &lines);
	path_close_fd(&lines.worker);
	path_close_fd(&lines.token);
	if (task.pid > 0) {
		s->tasks[s->task_count++] = task;
		return;
	}
	log_warn("cannot start a job: %s", strerror(errno));
	path_close_fd(&task.line);
}

/* One line, so that the command can say why. */
static void turn_away(int peer)
{
	json_auto_t *answer = NULL;
	struct err err;

	err_set(&err, ERR_LOCKED, "the agent is busy with requests of other users");
	err_fix(&err, "try again in a while");
	answer = new_answer(false, NULL, &err);
	(void)!wire_send_json(peer, answer, -1, &err);
}

static bool has_sync(const struct supervisor *s)
{
	for (size_t i = 0; i < s->task_count; i++)
		if (s->tasks[i].is_sync)
			return true;
	return false;
}

static bool has_room(const struct supervisor *s)
{
	return s->task_count < SUPERVISOR_JOBS_MAX;
}

/* Runs: each has a folder in the journal until its end is told. */

/* What there is for a cycle to do about runs, the least urgent first. */
enum seen {
	SEEN_NOTHING,
	SEEN_ORPHAN, /* one has lost its parent: its time limit is to be kept */
	SEEN_END,    /* nobody has told it */
};

static enum seen look_at_run(bool *open_out, const char *folder)
{
	enum journal_phase phase = journal_peek(folder);

	if (phase == JOURNAL_ENDED)
		return SEEN_END;
	*open_out = *open_out || phase == JOURNAL_RUNNING;
	return phase == JOURNAL_RUNNING && orphan_is_alone(folder) ? SEEN_ORPHAN : SEEN_NOTHING;
}

/* Watches those that go on. */
static enum seen look_at_runs(struct supervisor *s)
{
	SCOPED_TEXT char *dir = state_path(&s->state, "journal");
	DIR *journal = opendir(dir);
	const struct dirent *e;
	enum seen most = SEEN_NOTHING;
	bool open = false;

	while (journal != NULL && (e = readdir(journal)) != NULL) {
		SCOPED_TEXT char *folder = path_join(dir, e->d_name);
		enum seen seen;

		if (e->d_name[0] == '.' || strchr(e->d_name, '-') == NULL)
			continue;
		/* First the watch, then the look: an end in between is seen twice, not never. */
		(void)inotify_add_watch(s->watch, folder, IN_MOVED_TO | IN_ONLYDIR);
		seen = look_at_run(&open, folder);
		most = MAX_OF(most, seen);
	}
	if (journal != NULL)
		closedir(journal);
	/* A run that is killed with its parent leaves no event. */
	s->next_peek_ms = open ? clock_mono_ms(s->clock) + PEEK_MS : 0;
	return most;
}

/* Events. */

static void reap_jobs(struct supervisor *s)
{
	for (size_t i = 0; i < s->task_count;) {
		int status = 0;

		if (spawn_wait(&status, s->tasks[i].pid, 0) == SPAWN_RUNNING) {
			i++;
			continue;
		}
		/* Whatever has ended now, that cycle has not seen it. */
		if (s->tasks[i].is_sync && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RUNNING)
			s->next_look_ms = 0;
		path_close_fd(&s->tasks[i].line);
		s->tasks[i] = s->tasks[--s->task_count];
		s->look_again = true;
		learn_client(s);
	}
}

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			s->stopping = true;
	reap_jobs(s);
}

static bool has_command(const struct supervisor *s)
{
	for (size_t i = 0; i < s->task_count; i++)
		if (!s->tasks[i].is_sync)
			return true;
	return false;
}

static bool names_result(const char *events, size_t size)
{
	const struct inotify_event *e;

	for (size_t at = 0; at + sizeof(*e) <= size; at += sizeof(*e) + e->len) {
		e = (const struct inotify_event *)(const void *)(events + at);
		if (e->len > 0 && strcmp(e->name, "result") == 0)
			return true;
	}
	return false;
}

static void on_watch(struct supervisor *s)
{
	_Alignas(struct inotify_event) char events[4096];
	ssize_t size;

	while ((size = read(s->watch, events, sizeof(events))) > 0)
		if (names_result(events, (size_t)size))
			s->next_look_ms = clock_mono_ms(s->clock) +
					  (has_command(s) ? LOOK_LATER_MS : 0);
	s->look_again = true;
}

static void on_peer(struct supervisor *s)
{
	uid_t caller;
	int peer;

	while (has_room(s) && control_accept(&peer, &caller, s->listener)) {
		if (permit_is_guest(caller) && count_guests(s) >= SUPERVISOR_GUESTS_MAX)
			turn_away(peer);
		else
			start_job(s, peer, caller);
		close(peer);
	}
}

static bool content_waits(const struct supervisor *s)
{
	json_auto_t *waits = NULL;
	struct err ignored;

	return state_read_json(&waits, &s->state, "waits.json", &ignored) &&
	       json_object_size(waits) > 0;
}

/* A server that is mounted now may be the one that content waits for. */
static void on_mounts(struct supervisor *s)
{
	uint64_t now = clock_mono_ms(s->clock);

	s->next_mount_ms = now + LOOK_PAUSE_MS;
	if (mountwatch_has_changed(&s->mounts) && content_waits(s))
		s->next_poll_ms = MIN_OF(s->next_poll_ms, now);
}

/* What changes meanwhile is seen then. */
static int mounts_fd(const struct supervisor *s)
{
	return has_sync(s) || clock_mono_ms(s->clock) < s->next_mount_ms ? -1 : s->mounts.fd;
}

static void plan_look(struct supervisor *s, enum seen seen, uint64_t now)
{
	if (seen == SEEN_NOTHING)
		return;
	s->next_poll_ms = MIN_OF(s->next_poll_ms,
				 MAX_OF(now, seen == SEEN_END ? s->next_look_ms : s->next_tend_ms));
}

/* What time or ended runs ask for. One cycle at a time: a later one finds what an earlier left. */
static void on_time(struct supervisor *s)
{
	uint64_t now = clock_mono_ms(s->clock);

	if (has_sync(s) || !has_room(s))
		return;
	if (s->look_again || (s->next_peek_ms != 0 && now >= s->next_peek_ms)) {
		s->look_again = false;
		plan_look(s, look_at_runs(s), now);
	}
	if (now < s->next_poll_ms)
		return;
	s->next_look_ms = s->next_tend_ms = now + LOOK_PAUSE_MS;
	s->next_poll_ms = supervisor_next_poll(now, poll_interval(s), s->client);
	start_job(s, -1, geteuid());
}

static int sleep_ms(const struct supervisor *s)
{
	uint64_t now = clock_mono_ms(s->clock), next = s->next_poll_ms;

	/* The end of the cycle that runs will wake us. */
	if (has_sync(s) || !has_room(s))
		return -1;
	if (s->next_peek_ms != 0)
		next = MIN_OF(next, s->next_peek_ms);
	if (s->next_mount_ms > now)
		next = MIN_OF(next, s->next_mount_ms);
	return next > now ? (int)MIN_OF(next - now, (uint64_t)INT32_MAX) : 0;
}

static void loop(struct supervisor *s)
{
	while (!s->stopping) {
		struct pollfd fds[] = {
			{ .fd = s->signals, .events = POLLIN },
			{ .fd = s->watch, .events = POLLIN },
			{ .fd = s->worker, .events = POLLIN },
			{ .fd = has_room(s) ? s->listener : -1, .events = POLLIN },
			{ .fd = mounts_fd(s), .events = POLLPRI },
		};

		if (poll(fds, COUNT_OF(fds), sleep_ms(s)) < 0 && errno != EINTR)
			return;
		if (fds[0].revents != 0)
			on_signal(s);
		if (fds[1].revents != 0)
			on_watch(s);
		/* It never speaks to us: this is its end. */
		if (fds[2].revents != 0)
			forget_worker(s);
		if (fds[3].revents != 0)
			on_peer(s);
		if (fds[4].revents != 0)
			on_mounts(s);
		on_time(s);
	}
}

/* Start, stop. */

static int watch_signals(void)
{
	static const int watched[] = { SIGCHLD, SIGTERM, SIGINT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What a crash left mounted is undone, what is to be kept is made anew. */
static void reconcile_mounts(struct supervisor *s)
{
	struct job job = {
		.state = &s->state,
		.settings = s->options->settings,
		.clock = s->clock,
		.worker = -1,
		.worker_token = -1,
	};

	mountpoint_reconcile(&job);
}

static bool start(struct supervisor *s, struct err *err)
{
	SCOPED_TEXT char *socket = NULL;

	if (!state_open(&s->state, s->options->state_dir, STATE_CREATE, err))
		return false;
	if (!state_lock(&s->lock, &s->state, "state", 0, err)) {
		if (err->code == ERR_LOCKED)
			err_set(err, ERR_LOCKED, "another agent serves %s", s->state.dir);
		return false;
	}
	s->signals = watch_signals();
	s->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->signals < 0 || s->watch < 0)
		return err_sys(err, ERR_IO, errno, "event descriptors");
	socket = state_socket_path(&s->state);
	if (!control_listen(&s->listener, socket, err))
		return false;
	/* Another table than the kernel's never tells. */
	if (s->options->settings == NULL || s->options->settings->mounts == NULL)
		mountwatch_open(&s->mounts);
	if (s->options->settings != NULL)
		reconcile_mounts(s);
	learn_client(s);
	s->next_poll_ms = clock_mono_ms(s->clock) +
			  supervisor_first_delay(poll_interval(s), s->client);
	s->look_again = true;
	return true;
}

static void stop(struct supervisor *s)
{
	SCOPED_TEXT char *socket = s->listener >= 0 ? state_socket_path(&s->state) : NULL;

	for (size_t i = 0; i < s->task_count; i++)
		(void)kill(s->tasks[i].pid, SIGTERM);
	for (size_t i = 0; i < s->task_count; i++)
		spawn_stop(s->tasks[i].pid, WORKER_GRACE_MS);
	if (s->worker >= 0)
		forget_worker(s);
	if (socket != NULL)
		(void)unlink(socket);
	mountwatch_close(&s->mounts);
	path_close_fd(&s->listener);
	path_close_fd(&s->watch);
	path_close_fd(&s->signals);
	path_close_fd(&s->lock);
	state_close(&s->state);
}

bool supervisor_serve(const struct supervisor_options *options, struct err *err)
{
	struct supervisor s = {
		.options = options,
		.clock = options->clock,
		.lock = -1,
		.listener = -1,
		.signals = -1,
		.watch = -1,
		.worker = -1,
		.mounts = { .fd = -1 },
	};
	struct workroom_account account;
	bool started = start(&s, err);

	workroom_find(&account, options->settings->worker_user);
	s.splits_guests = account.changes;
	if (started)
		loop(&s);
	stop(&s);
	return started || err_what(err, "cannot start the agent");
}
