/*
 * packway-mount: serves one mounted package, undoes a mount, or puts in order what a crash left.
 * Started by packway and packway-agent with a socket as descriptor 3, on which it answers once;
 * nobody runs it by hand. Serving, it is a process of its own: neither the command nor the agent
 * takes the mount along when it ends.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/mountfeed.h"
#include "agent/mountholder.h"
#include "agent/mountledger.h"
#include "agent/mountpoint.h"
#include "agent/mountread.h"
#include "agent/mountview.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "common/wire.h"

#define CLAIM_SOON_MS   300   /* for one who only puts things in order */
#define CLAIM_WAIT_MS   5000  /* for a mount that is being released */
#define RELEASE_WAIT_MS 10000 /* for those who are in a mount that a person wants to go */
#define AGAIN_MS        200   /* between two tries to unmount … */
#define AGAIN_MAX_MS    5000  /* … and between those that go on for ever */

struct serve {
	struct state state;
	struct job job;
	struct job_settings settings;
	struct mountpoint_request request;
	const char *release; /* a place to unmount; else NULL */
	bool reconciles;

	char *at;  /* resolved */
	bool made; /* the folder, by us */
	char *source;
	int claim;
	struct mountfeed *feed;
	bool has_answered;
	bool was_signalled; /* ended by a signal, not because it was unmounted */
};

/* ---- the command line ---- */

enum option_id {
	OPTION_STATE = 1,
	OPTION_LINGER,
	OPTION_QUOTA,
	OPTION_ADDRESS,
	OPTION_MOUNTS,
	OPTION_TLS_CA,
	OPTION_WORKER_USER,
	OPTION_PACKAGE,
	OPTION_VERSION,
	OPTION_MANIFEST,
	OPTION_AT,
	OPTION_ADVERTISEMENT,
	OPTION_PROGRAM,
	OPTION_KEEP,
	OPTION_RELEASE,
	OPTION_RECONCILE,
	OPTION_SERVED_FOR,
	OPTION_ASKED_BY,
};

static const struct option long_options[] = {
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "linger", required_argument, NULL, OPTION_LINGER },
	{ "quota", required_argument, NULL, OPTION_QUOTA },
	{ "address", required_argument, NULL, OPTION_ADDRESS },
	{ "mounts", required_argument, NULL, OPTION_MOUNTS },
	{ "tls-ca", required_argument, NULL, OPTION_TLS_CA },
	{ "worker-user", required_argument, NULL, OPTION_WORKER_USER },
	{ "package", required_argument, NULL, OPTION_PACKAGE },
	{ "version", required_argument, NULL, OPTION_VERSION },
	{ "manifest", required_argument, NULL, OPTION_MANIFEST },
	{ "at", required_argument, NULL, OPTION_AT },
	{ "advertisement", required_argument, NULL, OPTION_ADVERTISEMENT },
	{ "program", required_argument, NULL, OPTION_PROGRAM },
	{ "keep", no_argument, NULL, OPTION_KEEP },
	{ "release", required_argument, NULL, OPTION_RELEASE },
	{ "reconcile", no_argument, NULL, OPTION_RECONCILE },
	{ "served-for", required_argument, NULL, OPTION_SERVED_FOR },
	{ "asked-by", required_argument, NULL, OPTION_ASKED_BY },
	{ NULL, 0, NULL, 0 },
};

static bool take_number(uint64_t *out, uint64_t max, struct err *err)
{
	return text_u64(out, optarg, 0, max) ||
	       err_set(err, ERR_USAGE, "%s is no number up to %" PRIu64, optarg, max);
}

static bool take_setting(struct serve *s, int id, struct err *err)
{
	uint64_t number = 0;

	switch (id) {
	case OPTION_LINGER:
		if (!take_number(&number, 86400, err))
			return false;
		s->settings.linger_s = (uint32_t)number;
		return true;
	case OPTION_QUOTA:
		return take_number(&s->settings.quota_bytes, INT64_MAX, err);
	case OPTION_ADDRESS:
		s->settings.address = optarg;
		return true;
	case OPTION_MOUNTS:
		s->settings.mounts = optarg;
		return true;
	case OPTION_TLS_CA:
		s->settings.tls_ca = optarg;
		return true;
	case OPTION_WORKER_USER:
		s->settings.worker_user = optarg;
		return true;
	default:
		return err_set(err, ERR_USAGE, "unknown option");
	}
}

static bool take_option(struct serve *s, const char **state, int id, struct err *err)
{
	uint64_t number = 0;

	switch (id) {
	case OPTION_STATE:
		*state = optarg;
		return true;
	case OPTION_PACKAGE:
		s->request.package = optarg;
		return true;
	case OPTION_VERSION:
		if (!take_number(&number, UINT32_MAX, err))
			return false;
		s->request.version = (int64_t)number;
		return true;
	case OPTION_MANIFEST:
		s->request.manifest = optarg;
		return true;
	case OPTION_AT:
		s->request.at = optarg;
		return true;
	case OPTION_ADVERTISEMENT:
		s->request.advertisement = optarg;
		return true;
	case OPTION_PROGRAM:
		s->request.program = optarg;
		return true;
	case OPTION_KEEP:
		s->request.keeps = true;
		return true;
	case OPTION_RELEASE:
		s->release = optarg;
		return true;
	case OPTION_RECONCILE:
		s->reconciles = true;
		return true;
	case OPTION_SERVED_FOR:
	case OPTION_ASKED_BY:
		if (!take_number(&number, UINT32_MAX, err))
			return false;
		s->request.user = s->job.caller = (uid_t)number;
		s->request.fuse = id == OPTION_SERVED_FOR ? MOUNTPOINT_FUSE_FD : 0;
		return true;
	default:
		return take_setting(s, id, err);
	}
}

static bool read_options(struct serve *s, int argc, char **argv, struct err *err)
{
	const char *state = NULL;
	int id;

	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(s, &state, id, err))
			return false;
	if (state == NULL || (s->request.package == NULL && s->release == NULL && !s->reconciles))
		return err_set(err, ERR_USAGE, "it is a helper of packway, not a command");
	return state_open(&s->state, state, STATE_READ, err);
}

/* ---- the answer ---- */

/* Nobody may be there to hear it. */
static void answer(struct serve *s, const char *key, json_t *value)
{
	json_auto_t *frame = json_object();
	struct err ignored;

	jsondoc_set(frame, key, value);
	if (s->has_answered)
		return;
	(void)!wire_send_json(MOUNTPOINT_SOCKET_FD, frame, -1, &ignored);
	close(MOUNTPOINT_SOCKET_FD);
	s->has_answered = true;
}

static void answer_mounted(struct serve *s, bool already)
{
	json_t *done = json_object();

	jsondoc_set_text(done, "package", s->request.package);
	jsondoc_set_int(done, "version", mountfeed_version(s->feed));
	jsondoc_set_text(done, "at", s->at);
	jsondoc_set_flag(done, "already", already);
	answer(s, "done", done);
}

/* ---- the place ---- */

/* The folder's own name is not looked up: what is mounted there may hang or be dead. */
static bool resolve(char **out, const char *path, struct err *err)
{
	SCOPED_TEXT char *copy = alloc_text(path);
	SCOPED_TEXT char *parent = NULL;
	char *slash;
	struct stat st;

	while ((slash = strrchr(copy, '/')) != NULL && slash != copy && slash[1] == '\0')
		*slash = '\0';
	if (slash == NULL || slash[1] == '\0')
		return err_set(err, ERR_USAGE, "\"%s\" is no absolute path of a folder", path);
	if (strcmp(slash + 1, "..") == 0 || strcmp(slash + 1, ".") == 0 ||
	    (lstat(copy, &st) == 0 && S_ISLNK(st.st_mode))) {
		*out = realpath(copy, NULL);
		return *out != NULL || err_sys(err, ERR_IO, errno, "%s", path);
	}
	*slash = '\0';
	parent = realpath(copy[0] != '\0' ? copy : "/", NULL);
	if (parent == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", copy);
	*out = path_join(parent, slash + 1);
	return true;
}

/* A place of our own choosing: a folder that nobody else has. */
static char *new_place(const struct serve *s, const char *state)
{
	uint64_t salt;

	random_bytes(&salt, sizeof(salt));
	return alloc_printf("%s/" MOUNTLEDGER_FOLDER "/%s-%08" PRIx64, state, s->request.package,
			    salt & UINT32_MAX);
}

static bool find_place(struct serve *s, struct err *err)
{
	SCOPED_TEXT char *state = NULL;

	if (s->request.at != NULL)
		return resolve(&s->at, s->request.at, err);
	/* As the kernel's table names it. */
	state = realpath(s->state.dir, NULL);
	if (state == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", s->state.dir);
	s->at = new_place(s, state);
	return true;
}

/* Whoever has the place, by the ledger: the same content is as good as ours. */
static bool is_same(const struct serve *s, const json_t *record)
{
	const char *manifest = jsondoc_text(record, "manifest");
	const char *package = jsondoc_text(record, "package");
	SCOPED(mountholder) struct mountholder holder = { 0 };
	struct err ignored;

	return manifest != NULL && package != NULL &&
	       strcmp(manifest, mountfeed_manifest_hash(s->feed)) == 0 &&
	       strcmp(package, s->request.package) == 0 &&
	       mountholder_look(&holder, s->at, &ignored) && holder.is_mounted && holder.is_ours;
}

static bool name_holder(const struct serve *s, const json_t *record, struct err *err)
{
	const char *program = jsondoc_text(record, "program");
	SCOPED_TEXT char *who = mountholder_processes(s->at);

	err_set(err, ERR_IN_USE, "%s version %" PRId64 " is mounted at %s%s%s%s%s",
		jsondoc_text(record, "package"), jsondoc_int(record, "version", 0), s->at,
		program != NULL ? " for program " : "", program != NULL ? program : "",
		who != NULL ? ", used by " : "", who != NULL ? who : "");
	return err_fix(err, "let that end, or unmount it: packway unmount %s", s->at);
}

/* What is kept of an older version of the package makes room for the newer one. */
static void take_place_of_older(const struct serve *s, const json_t *record)
{
	struct err err;

	if (!jsondoc_flag(record, "keep", false) ||
	    strcmp(jsondoc_text(record, "package"), s->request.package) != 0)
		return;
	if (!mountholder_unmount(s->at, &err))
		log_debug("%s", err.why);
}

enum place {
	PLACE_OURS,
	PLACE_IS_SAME, /* the same content is mounted there */
	PLACE_FAULT,
};

static enum place claim_place(struct serve *s, struct err *err)
{
	json_auto_t *record = NULL;

	if (mountledger_claim(&s->claim, &s->state, s->at, CLAIM_SOON_MS, err))
		return PLACE_OURS;
	if (err->code != ERR_LOCKED)
		return PLACE_FAULT;
	record = mountledger_read(&s->state, s->at);
	if (record != NULL && is_same(s, record))
		return PLACE_IS_SAME;
	if (record != NULL)
		take_place_of_older(s, record);
	if (mountledger_claim(&s->claim, &s->state, s->at, CLAIM_WAIT_MS, err))
		return PLACE_OURS;
	if (err->code == ERR_LOCKED && record != NULL)
		name_holder(s, record, err);
	return PLACE_FAULT;
}

/* The place is claimed: whatever of ours is still mounted there is served by nobody. */
static bool clear_place(struct serve *s, struct err *err)
{
	SCOPED(mountholder) struct mountholder holder = { 0 };

	if (!mountholder_look(&holder, s->at, err))
		return false;
	if (holder.is_mounted && holder.is_ours) {
		mountholder_detach(s->at);
		mountledger_remove(&s->state, s->at);
		mountholder_release(&holder);
		if (!mountholder_look(&holder, s->at, err))
			return false;
	}
	if (!holder.is_mounted)
		return true;
	err_set(err, ERR_IN_USE, "%s (%s) is mounted at %s", holder.source, holder.fstype, s->at);
	return err_fix(err, "unmount that, or take another folder");
}

static bool is_empty(const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool empty = true;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", path);
	while (empty && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		empty = false;
		err_set(err, ERR_IN_USE, "%s is not empty: \"%s\" is in it", path, entry->d_name);
		err_fix(err, "empty it, or take another folder: a mount would hide what is there");
	}
	closedir(dir);
	return empty;
}

static bool make_place(struct serve *s, struct err *err)
{
	if (mkdir(s->at, 0755) == 0) {
		s->made = true;
		return true;
	}
	if (errno != EEXIST)
		return err_sys(err, ERR_IO, errno, "folder %s", s->at);
	return is_empty(s->at, err);
}

static bool note_place(const struct serve *s, struct err *err)
{
	json_auto_t *record = json_object();

	jsondoc_set_int(record, "format", 1);
	jsondoc_set_text(record, "at", s->at);
	jsondoc_set_text(record, "package", s->request.package);
	jsondoc_set_int(record, "version", mountfeed_version(s->feed));
	jsondoc_set_text(record, "manifest", mountfeed_manifest_hash(s->feed));
	jsondoc_set_flag(record, "keep", s->request.keeps);
	jsondoc_set_flag(record, "made", s->made);
	jsondoc_set_int(record, "process", getpid());
	if (s->request.program != NULL)
		jsondoc_set_text(record, "program", s->request.program);
	if (s->request.advertisement != NULL)
		jsondoc_set_text(record, "advertisement", s->request.advertisement);
	return mountledger_write(&s->state, record, err);
}

static void forget_place(const struct state *st, const char *at, bool made)
{
	if (made)
		(void)rmdir(at);
	mountledger_remove(st, at);
}

/* ---- serving ---- */

static void on_ready(void *ctx)
{
	answer_mounted(ctx, false);
}

static void pause_ms(uint64_t ms)
{
	struct timespec pause = { .tv_sec = (time_t)(ms / 1000),
				  .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

/*
 * The run's processes have the other end of the token: once the last one has let go, so does the
 * mount. Somebody else may be in it then; it goes when they do.
 */
static void *watch_token(void *arg)
{
	const struct serve *s = arg;
	struct pollfd token = { .fd = MOUNTPOINT_TOKEN_FD };
	uint64_t wait_ms = AGAIN_MS;
	struct err err;

	while (poll(&token, 1, -1) < 0 && errno == EINTR)
		;
	while (!mountholder_unmount(s->at, &err)) {
		log_debug("%s", err.why);
		pause_ms(wait_ms);
		wait_ms = MIN_OF(wait_ms * 2, (uint64_t)AGAIN_MAX_MS);
	}
	return NULL;
}

/* Serve until it is unmounted. */
static bool serve_view(struct serve *s, bool has_token, struct err *err)
{
	struct mountread *read = mountread_new(s->feed);
	struct mountview_params params = {
		.manifest = mountfeed_manifest(s->feed),
		.read = read,
		.source = s->source,
		.at = s->at,
		.for_all = geteuid() == 0 && s->request.fuse == 0,
		.ready = on_ready,
		.ctx = s,
	};
	struct mountview *view = NULL;
	pthread_t watcher;
	bool done = mountfeed_start(s->feed, err) && mountview_open(&view, &params, err);

	if (done && has_token && pthread_create(&watcher, NULL, watch_token, s) == 0)
		(void)pthread_detach(watcher);
	done = done && mountview_serve(&s->was_signalled, view, err);
	mountview_close(view);
	mountread_free(read);
	return done;
}

/* Shutting down is no wish to have it gone: what is kept stays in the ledger. */
static bool serve_place(struct serve *s, bool has_token, struct err *err)
{
	SCOPED(mountholder) struct mountholder holder = { 0 };
	struct err ignored;
	bool done = clear_place(s, err) && make_place(s, err) && note_place(s, err);

	if (done)
		done = serve_view(s, has_token, err);
	if (s->request.keeps && s->was_signalled)
		return done;
	if (mountholder_look(&holder, s->at, &ignored) && !holder.is_mounted)
		forget_place(&s->state, s->at, s->made);
	return done;
}

static bool open_feed(struct serve *s, const struct mountfeed_params *params, struct err *err)
{
	if (!mountview_is_possible(err) || !mountfeed_open(&s->feed, params, err))
		return false;
	s->source = alloc_printf("packway:%s-%" PRId64, s->request.package,
				 mountfeed_version(s->feed));
	return true;
}

/* One of the few that the user may have, until this process ends. */
static bool claim_for_user(struct serve *s, struct err *err)
{
	for (int n = 0; n < MOUNTPOINT_OF_USER; n++) {
		SCOPED_TEXT char *name = alloc_printf("user %u, %d", s->request.user, n);

		if (mountledger_claim(&s->claim, &s->state, name, 0, err))
			return true;
		if (err->code != ERR_LOCKED)
			return false;
	}
	err_set(err, ERR_LOCKED, "user %u has %d packages mounted already", s->request.user,
		MOUNTPOINT_OF_USER);
	return err_fix(err, "unmount one of them: packway unmount DIR");
}

/* The mount stands, where and how the user could make it; it is only answered here. */
static bool serve_user(struct serve *s, struct err *err)
{
	s->at = alloc_printf("/dev/fd/%d", s->request.fuse); /* libfuse's name for such a mount */
	return claim_for_user(s, err) && serve_view(s, false, err);
}

static bool serve(struct serve *s, bool has_token, struct err *err)
{
	const struct mountfeed_params params = {
		.job = &s->job,
		.package = s->request.package,
		.version = s->request.version,
		.manifest = s->request.manifest,
		.advertisement = s->request.advertisement,
		.program = s->request.program,
	};
	bool is_users = s->request.fuse != 0;
	bool done = (is_users || find_place(s, err)) && open_feed(s, &params, err);

	if (done && is_users) {
		done = serve_user(s, err);
	} else if (done) {
		switch (claim_place(s, err)) {
		case PLACE_OURS:
			done = serve_place(s, has_token, err);
			/* What is left to be ended holds up nobody who wants the place. */
			path_close_fd(&s->claim);
			s->claim = -1;
			break;
		case PLACE_IS_SAME:
			answer_mounted(s, true);
			break;
		case PLACE_FAULT:
			done = false;
			break;
		}
	}
	mountfeed_close(s->feed);
	job_finish(&s->job);
	return done;
}

/* ---- unmounting ---- */

static bool unmount_patiently(const char *at, struct err *err)
{
	for (uint64_t waited_ms = 0;; waited_ms += AGAIN_MS) {
		if (mountholder_unmount(at, err))
			return true;
		if (err->code != ERR_IN_USE || waited_ms >= RELEASE_WAIT_MS)
			return false;
		pause_ms(AGAIN_MS);
	}
}

static bool release(struct serve *s, struct err *err)
{
	SCOPED(mountholder) struct mountholder holder = { 0 };
	json_auto_t *record = NULL;
	json_t *done;

	if (!resolve(&s->at, s->release, err) || !mountholder_look(&holder, s->at, err))
		return false;
	record = mountledger_read(&s->state, s->at);
	if (!holder.is_mounted || !holder.is_ours || record == NULL) {
		err_set(err, ERR_NOT_FOUND, "packway has nothing mounted at %s", s->at);
		return err_fix(err, "see what is mounted: findmnt -t " MOUNTHOLDER_FSTYPE);
	}
	if (!unmount_patiently(s->at, err))
		return false;
	/* Who serves it puts its things away; one that was killed does not. */
	if (mountledger_claim(&s->claim, &s->state, s->at, CLAIM_WAIT_MS, err))
		forget_place(&s->state, s->at, jsondoc_flag(record, "made", false));
	done = json_object();
	jsondoc_set_text(done, "package", jsondoc_text(record, "package"));
	jsondoc_set_int(done, "version", jsondoc_int(record, "version", 0));
	jsondoc_set_text(done, "at", s->at);
	answer(s, "done", done);
	return true;
}

/* ---- after a crash ---- */

static void make_anew(struct serve *s, const json_t *record)
{
	const struct mountpoint_request request = {
		.package = jsondoc_text(record, "package"),
		.version = jsondoc_int(record, "version", 0),
		.at = jsondoc_text(record, "at"),
		.advertisement = jsondoc_text(record, "advertisement"),
		.program = jsondoc_text(record, "program"),
		.keeps = true,
	};
	json_auto_t *result = NULL;
	struct err err;

	if (!mountpoint_mount(&result, NULL, &s->job, &request, &err))
		log_warn("%s is not mounted at %s again: %s", request.package, request.at, err.why);
}

static void put_in_order(struct serve *s, const json_t *record)
{
	const char *at = jsondoc_text(record, "at");
	SCOPED(mountholder) struct mountholder holder = { 0 };
	SCOPED_FD int claim = -1;
	struct err err;

	/* A claim that is held is a mount that is served. */
	if (!mountledger_claim(&claim, &s->state, at, 0, &err) ||
	    !mountholder_look(&holder, at, &err))
		return;
	if (holder.is_mounted && holder.is_ours)
		mountholder_detach(at);
	if (jsondoc_flag(record, "made", false))
		(void)rmdir(at);
	if (!jsondoc_flag(record, "keep", false)) {
		mountledger_remove(&s->state, at);
		return;
	}
	path_close_fd(&claim);
	claim = -1;
	make_anew(s, record);
}

static void reconcile(struct serve *s)
{
	json_auto_t *list = mountledger_list(&s->state);
	const json_t *record;
	size_t i;

	json_array_foreach (list, i, record)
		put_in_order(s, record);
}

/* ---- the process ---- */

static bool act(struct serve *s, bool has_token, struct err *err)
{
	if (s->release != NULL)
		return release(s, err);
	if (!s->reconciles)
		return serve(s, has_token, err);
	reconcile(s);
	return true;
}

int main(int argc, char **argv)
{
	/* Before anything else may get that number. */
	bool has_token = fcntl(MOUNTPOINT_TOKEN_FD, F_GETFD) >= 0;
	struct serve s = { .claim = -1 };
	struct err err = { 0 };
	bool done;
	pid_t pid;

	log_setup("packway-mount", LOG_NORMAL);
	/* Two generations: whoever started us waits for the answer, not for the end. */
	pid = fork();
	if (pid != 0)
		return pid < 0 ? EXIT_LOCAL : EXIT_DONE;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of ours to tell */
	if (chdir("/") != 0)
		return EXIT_LOCAL;
	s.job = (struct job){ .state = &s.state,
			      .settings = &s.settings,
			      .clock = clock_system(),
			      .worker = -1,
			      .worker_token = -1,
			      .caller = geteuid(),
			      .for_person = true };
	done = read_options(&s, argc, argv, &err) && act(&s, has_token, &err);
	if (!done)
		answer(&s, "error", jsondoc_new_error(&err));
	path_close_fd(&s.claim);
	free(s.at);
	free(s.source);
	state_close(&s.state);
	return done ? EXIT_DONE : EXIT_LOCAL;
}
