#include "agent/reap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/account.h"
#include "agent/capture.h"
#include "agent/journal.h"
#include "agent/orphan.h"
#include "common/alloc.h"
#include "common/bootid.h"
#include "common/clock.h"
#include "common/command.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/text.h"

#define OUTPUT_READ_MAX 16384
#define KILL_AGAIN_MS   100  /* between two rounds of SIGKILL */
#define TREE_MAX        4096 /* processes that one round ends */
#define ENV_MAX         16
#define RUN_UMASK       022
#define RUN_PATH        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* How far the end of a program that overstayed has come. */
enum end_step {
	END_NONE,
	END_ASKED,  /* SIGTERM was sent */
	END_FORCED, /* SIGKILL is being sent */
};

struct reap {
	const char *folder;
	json_t *intent;
	const struct clock *clock;
	struct capture output;
	int output_fd; /* -1: at its end */
	int signal_fd;
	int started_fd;
	bool has_started;
	bool has_pin;   /* of the content, at REAP_PIN_FD */
	pid_t program;  /* 0: not started or reaped */
	int status;     /* of the program, once it is reaped */
	bool timed_out; /* the program itself was ended by us */
	bool leftovers_ended;
	enum end_step end;
	uint64_t next_ms; /* when the next end step is due; 0: never */
	int64_t began_s;
	uint64_t began_ms;
};

/* Environment: built from nothing. */

struct environment {
	char *entries[ENV_MAX + 1];
	size_t count;
};

static void environment_release(struct environment *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->entries[i]);
}
SCOPED_RELEASE(environment);

static void put_env(struct environment *e, const char *name, const char *value)
{
	assert(e->count < ENV_MAX);
	e->entries[e->count++] = alloc_printf("%s=%s", name, value != NULL ? value : "");
}

static void fill_environment(struct environment *e, const json_t *intent, const char *home)
{
	static const struct {
		const char *name, *key;
	} texts[] = {
		{ "PACKWAY_PACKAGE", "package" },
		{ "PACKWAY_PROGRAM", "program" },
		{ "PACKWAY_ADVERTISEMENT", "advertisement" },
		{ "PACKWAY_CLIENT", "client" },
		{ "PACKWAY_CONTENT", "content" },
		{ "PACKWAY_WAY", "way" },
	};
	char version[24];

	put_env(e, "PATH", RUN_PATH);
	put_env(e, "LANG", "C.UTF-8");
	put_env(e, "HOME", home);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		put_env(e, texts[i].name, jsondoc_text(intent, texts[i].key));
	snprintf(version, sizeof(version), "%" PRId64, jsondoc_int(intent, "version", 0));
	put_env(e, "PACKWAY_VERSION", version);
}

/* Start. */

/* In the new process, as the last thing before execve: from here on the run has happened. */
static int write_started(void *ctx)
{
	const struct reap *r = ctx;
	char boot[BOOTID_SIZE], line[128];
	int size;

	bootid_read(boot);
	size = snprintf(line, sizeof(line), "%d %s %" PRIu64 "\n", getpid(),
			boot[0] != '\0' ? boot : "-", orphan_boot_ms());
	if (write(r->started_fd, line, (size_t)size) != size)
		return errno != 0 ? errno : EIO;
	return fsync(r->started_fd) == 0 ? 0 : errno;
}

/*
 * False if the new process was killed before it came to its start: the report of a start that
 * worked and of a process that is gone look alike (spawn.h).
 */
static bool has_come_to_start(const struct reap *r)
{
	struct stat st;

	return fstat(r->started_fd, &st) != 0 || st.st_size > 0;
}

/* In the run's parent, once execve is known to have worked. Only says so earlier: not flushed. */
static void tell_executed(const struct reap *r)
{
	(void)!write(r->started_fd, JOURNAL_EXECUTED, strlen(JOURNAL_EXECUTED));
}

/* Empty for now; its name is made durable here, so that the child only has to flush the file. */
static bool create_started(struct reap *r, struct err *err)
{
	SCOPED_TEXT char *path = path_join(r->folder, "started");

	r->started_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (r->started_fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (!orphan_hold(r->started_fd))
		return err_sys(err, ERR_IO, errno, "lock %s", path);
	return path_sync_dir(r->folder, err);
}

static bool spawn_program(struct reap *r, struct command *c, const char *content,
			  const struct account *account, int output, struct err *err)
{
	SCOPED(environment) struct environment env = { 0 };
	const struct spawn_user user = {
		.uid = account->uid,
		.gid = account->gid,
		.groups = account->groups,
		.group_count = (size_t)account->group_count,
	};
	const struct spawn_fd fds[] = {
		{ output, STDOUT_FILENO },
		{ output, STDERR_FILENO },
		/* The tree holds the lock and the pin, not only we. */
		{ REAP_LOCK_FD, REAP_LOCK_FD },
		{ REAP_PIN_FD, REAP_PIN_FD },
	};
	struct spawn s = {
		.argv = (const char *const *)c->words,
		.envp = (const char *const *)env.entries,
		.cwd = content,
		.fds = fds,
		.fd_count = r->has_pin ? COUNT_OF(fds) : COUNT_OF(fds) - 1,
		.user = account->changes ? &user : NULL,
		.flags = SPAWN_NEW_SESSION,
		.last = write_started,
		.ctx = r,
	};

	fill_environment(&env, r->intent, account->home);
	if (!spawn_start(&r->program, &s, err))
		return false;
	r->has_started = has_come_to_start(r);
	if (r->has_started)
		tell_executed(r);
	return true;
}

static bool prepare_command(struct command *c, const char *content, const json_t *intent,
			    struct err *err)
{
	const char *text;
	char *file;

	if (!jsondoc_need_text(&text, intent, "command", err) || !command_split(c, text, err))
		return false;
	command_place(c, content);
	if (!command_file(&file, c, content, err)) {
		command_release(c);
		return false;
	}
	free(c->words[0]);
	c->words[0] = file;
	return true;
}

static bool start_program(struct reap *r, struct err *err)
{
	SCOPED(command) struct command c = { 0 };
	SCOPED(account) struct account account = { 0 };
	const char *as = jsondoc_text(r->intent, "as");
	const char *content;
	int pipe_fds[2];
	bool done;

	if (!jsondoc_need_text(&content, r->intent, "content", err) ||
	    !prepare_command(&c, content, r->intent, err) ||
	    !account_find(&account, as != NULL ? as : ACCOUNT_ROOT, err) || !create_started(r, err))
		return false;
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, errno, "pipe");
	done = spawn_program(r, &c, content, &account, pipe_fds[1], err);
	close(pipe_fds[1]);
	r->output_fd = pipe_fds[0];
	(void)fcntl(r->output_fd, F_SETFL, O_NONBLOCK);
	return done;
}

/* The tree: every orphan of it becomes our child, so whoever descends from us belongs to it. */

static bool read_parent(pid_t *parent_out, const char *pid)
{
	SCOPED_TEXT char *path = alloc_printf("/proc/%s/stat", pid);
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[512], state;
	const char *behind_name;
	ssize_t size = fd >= 0 ? path_read_fd(fd, text, sizeof(text) - 1) : -1;

	if (size <= 0)
		return false;
	text[size] = '\0';
	/* The name may hold anything, brackets included. */
	behind_name = strrchr(text, ')');
	return behind_name != NULL && sscanf(behind_name + 1, " %c %d", &state, parent_out) == 2;
}

struct process {
	pid_t pid, parent;
	bool ours;
};

static size_t list_processes(struct process *list, size_t max)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	size_t count = 0;

	while (proc != NULL && count < max && (e = readdir(proc)) != NULL) {
		uint64_t pid;

		if (!text_u64(&pid, e->d_name, 2, INT32_MAX) ||
		    !read_parent(&list[count].parent, e->d_name))
			continue;
		list[count].pid = (pid_t)pid;
		list[count++].ours = false;
	}
	if (proc != NULL)
		closedir(proc);
	return count;
}

static bool is_ours(const struct process *list, size_t count, pid_t parent)
{
	if (parent == getpid())
		return true;
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == parent)
			return list[i].ours;
	return false;
}

static void signal_tree(int sig)
{
	struct process *list = alloc_zeroed(TREE_MAX, sizeof(*list));
	size_t count = list_processes(list, TREE_MAX);
	bool grew = true;

	while (grew) {
		grew = false;
		for (size_t i = 0; i < count; i++) {
			if (list[i].ours || !is_ours(list, count, list[i].parent))
				continue;
			list[i].ours = grew = true;
			(void)kill(list[i].pid, sig);
		}
	}
	free(list);
}

/* Wait. */

static uint64_t to_ms(int64_t seconds)
{
	return (uint64_t)seconds * 1000;
}

/* Take the next step towards the end of a tree that overstayed. */
static void step_towards_end(struct reap *r, uint64_t now_ms)
{
	if (r->end == END_NONE) {
		r->timed_out = r->program != 0;
		r->leftovers_ended = r->program == 0;
		r->end = END_ASKED;
		r->next_ms = now_ms + to_ms(jsondoc_int(r->intent, "grace_s", REAP_GRACE_S));
		if (r->program != 0)
			(void)spawn_kill_group(r->program, SIGTERM);
		signal_tree(SIGTERM);
		return;
	}
	/* Again and again: what was forked meanwhile has to go as well. */
	r->end = END_FORCED;
	r->next_ms = now_ms + KILL_AGAIN_MS;
	signal_tree(SIGKILL);
}

static void read_output(struct reap *r)
{
	uint8_t bytes[OUTPUT_READ_MAX];

	while (r->output_fd >= 0) {
		ssize_t n = read(r->output_fd, bytes, sizeof(bytes));

		if (n > 0)
			capture_add(&r->output, span_of(bytes, (size_t)n));
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return;
		else
			path_close_fd(&r->output_fd), r->output_fd = -1;
		/* A flood must not keep us from our clock. */
		if (n > 0 && r->next_ms != 0 && clock_mono_ms(r->clock) >= r->next_ms)
			return;
	}
}

/* False once no child is left. */
static bool reap_children(struct reap *r)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == 0)
			return true;
		if (pid < 0)
			return errno == EINTR;
		if (pid == r->program) {
			r->status = status;
			r->program = 0;
		}
	}
}

static int wait_ms(const struct reap *r)
{
	uint64_t now = clock_mono_ms(r->clock);

	if (r->next_ms == 0)
		return -1;
	return r->next_ms > now ? (int)MIN_OF(r->next_ms - now, 3600000u) : 0;
}

static void wait_for_tree(struct reap *r)
{
	while (reap_children(r)) {
		struct signalfd_siginfo info;
		struct pollfd fds[] = {
			{ .fd = r->signal_fd, .events = POLLIN },
			{ .fd = r->output_fd, .events = POLLIN },
		};
		uint64_t now;

		(void)poll(fds, COUNT_OF(fds), wait_ms(r));
		while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info))
			;
		read_output(r);
		now = clock_mono_ms(r->clock);
		if (r->next_ms != 0 && now >= r->next_ms)
			step_towards_end(r, now);
	}
	read_output(r);
}

/* Result. */

static void put_status(json_t *result, const struct reap *r)
{
	if (WIFEXITED(r->status))
		jsondoc_set_int(result, "exit", WEXITSTATUS(r->status));
	else if (WIFSIGNALED(r->status))
		jsondoc_set_int(result, "signal", WTERMSIG(r->status));
}

static void put_output(json_t *result, const struct reap *r)
{
	SCOPED(buf) struct buf text = { 0 };

	capture_text(&text, &r->output);
	jsondoc_set_text(result, "output", buf_text(&text));
	jsondoc_set_int(result, "output_bytes", (int64_t)MIN_OF(r->output.total, JSONDOC_INT_MAX));
}

static bool write_result(const struct reap *r, const struct err *failed)
{
	SCOPED_TEXT char *path = path_join(r->folder, "result");
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *result = json_object();
	struct err err;
	char boot[BOOTID_SIZE];

	bootid_read(boot);
	jsondoc_set_int(result, "format", 1);
	jsondoc_set_text(result, "boot", boot);
	jsondoc_set_time(result, "started", r->began_s);
	jsondoc_set_time(result, "ended", clock_wall_s(r->clock));
	jsondoc_set_int(result, "ms", (int64_t)(clock_mono_ms(r->clock) - r->began_ms));
	if (failed != NULL) {
		jsondoc_set_text(result, "error", failed->why);
		jsondoc_set_text(result, "code", err_name(failed->code));
	} else {
		put_status(result, r);
		jsondoc_set_flag(result, "timed_out", r->timed_out);
		jsondoc_set_flag(result, "leftovers_ended", r->leftovers_ended);
		put_output(result, r);
	}
	jsondoc_write(&text, result);
	return newfile_write(path, 0600, buf_span(&text), &err);
}

/* A full disk may have room again later; the program's outcome is worth the wait. */
static void insist_on_result(const struct reap *r, const struct err *failed)
{
	unsigned int pause_s = 1;

	/* Without its folder (packway reset) nobody will ask. */
	while (!write_result(r, failed) && path_exists(r->folder)) {
		sleep(pause_s);
		pause_s = MIN_OF(pause_s * 2, 60u);
	}
}

static bool load_intent(struct reap *r, struct err *err)
{
	SCOPED_TEXT char *path = path_join(r->folder, "intent");
	SCOPED(buf) struct buf bytes = { 0 };

	return path_read(&bytes, path, JOURNAL_DOC_MAX, err) &&
	       jsondoc_read(&r->intent, buf_span(&bytes), err);
}

/* A shutdown asks everybody to end; the program decides for itself, and we note what it did. */
static int watch_signals(void)
{
	static const int watched[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run_to_the_end(const char *folder, bool has_pin)
{
	struct reap r = {
		.folder = folder,
		.clock = clock_system(),
		.output_fd = -1,
		.signal_fd = watch_signals(),
		.started_fd = -1,
		.has_pin = has_pin,
	};
	struct err err;
	int64_t timeout_s;

	r.began_s = clock_wall_s(r.clock);
	r.began_ms = clock_mono_ms(r.clock);
	if (!load_intent(&r, &err) || !start_program(&r, &err)) {
		insist_on_result(&r, &err);
	} else if (r.has_started) {
		timeout_s = jsondoc_int(r.intent, "timeout_s", 0);
		if (timeout_s > 0)
			r.next_ms = r.began_ms + to_ms(timeout_s);
		wait_for_tree(&r);
		insist_on_result(&r, NULL);
	}
	/* Else nothing ran: without a result and with the lock free it may be run again. */
	capture_release(&r.output);
	json_decref(r.intent);
}

int reap_main(const char *folder)
{
	/* Before anything else may get that number. */
	bool has_pin = fcntl(REAP_PIN_FD, F_GETFD) >= 0;
	pid_t pid;

	/* Two generations: whoever started us has nothing to wait for. */
	pid = fork();
	if (pid != 0)
		return pid < 0 ? 1 : 0;
	umask(RUN_UMASK);
	if (chdir("/") != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return 1;
	run_to_the_end(folder, has_pin);
	return 0;
}
