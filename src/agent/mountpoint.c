#include "agent/mountpoint.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/path.h"
#include "common/spawn.h"
#include "common/wire.h"

#define ARGS_MAX   40
#define START_MS   5000 /* of the first generation, which only forks */
#define NUMBER_MAX 24
#define FUSE_MAJOR 10 /* /dev/fuse, by the kernel's list of devices */
#define FUSE_MINOR 229

struct arguments {
	const char *argv[ARGS_MAX];
	size_t count;
	char linger[NUMBER_MAX], quota[NUMBER_MAX], version[NUMBER_MAX], user[NUMBER_MAX];
};

static void put(struct arguments *a, const char *option, const char *value)
{
	if (value == NULL)
		return;
	assert(a->count + 2 < ARGS_MAX);
	a->argv[a->count++] = option;
	a->argv[a->count++] = value;
}

/* What its worker has to know is what any worker of this client has to. */
static void put_settings(struct arguments *a, const char *helper, const struct job *job)
{
	const struct job_settings *s = job->settings;

	*a = (struct arguments){ .argv = { helper }, .count = 1 };
	(void)snprintf(a->linger, NUMBER_MAX, "%u", s->linger_s);
	(void)snprintf(a->quota, NUMBER_MAX, "%" PRIu64, s->quota_bytes);
	put(a, "--state", job->state->dir);
	put(a, "--linger", a->linger);
	put(a, "--quota", a->quota);
	put(a, "--address", s->address);
	put(a, "--mounts", s->mounts);
	put(a, "--tls-ca", s->tls_ca);
	put(a, "--worker-user", s->worker_user);
}

static void put_request(struct arguments *a, const struct mountpoint_request *r)
{
	(void)snprintf(a->version, NUMBER_MAX, "%" PRId64, r->version);
	put(a, "--package", r->package);
	put(a, "--version", a->version);
	put(a, "--at", r->at);
	put(a, "--manifest", r->manifest);
	put(a, "--advertisement", r->advertisement);
	put(a, "--program", r->program);
	if (r->keeps)
		a->argv[a->count++] = "--keep";
	if (r->fuse == 0 && r->user == 0)
		return;
	(void)snprintf(a->user, NUMBER_MAX, "%u", (unsigned int)r->user);
	put(a, r->fuse != 0 ? "--served-for" : "--asked-by", a->user);
}

#define NO_MORE ((struct spawn_fd){ .from = -1 })

/* Start it with its end of a socket, and one more descriptor if there is one. */
static bool start(int *socket_out, const struct arguments *a, struct spawn_fd more, struct err *err)
{
	struct spawn_fd fds[] = { { -1, MOUNTPOINT_SOCKET_FD }, more };
	struct spawn s = {
		.argv = a->argv,
		.fds = fds,
		.fd_count = more.from >= 0 ? COUNT_OF(fds) : 1,
		.flags = SPAWN_NEW_SESSION,
	};
	int pair[2];
	pid_t pid;
	bool started;

	if (!wire_pair(pair, err))
		return false;
	fds[0].from = pair[1];
	started = spawn_start(&pid, &s, err);
	close(pair[1]);
	if (!started) {
		close(pair[0]);
		return false;
	}
	(void)spawn_wait(NULL, pid, START_MS);
	*socket_out = pair[0];
	return true;
}

static bool take_answer(json_t **result_out, int socket, struct err *err)
{
	json_auto_t *frame = NULL;
	enum wire_result got = wire_receive_json(&frame, NULL, socket, -1, err);
	json_t *done = json_object_get(frame, "done");

	if (got != WIRE_FRAME)
		return err_set(err, ERR_INTERRUPTED, "%s ended without an answer",
			       MOUNTPOINT_HELPER);
	if (done == NULL)
		return jsondoc_take_error(err, json_object_get(frame, "error"));
	*result_out = json_incref(done);
	return true;
}

static bool ask(json_t **result_out, const struct arguments *a, struct spawn_fd more,
		struct err *err)
{
	SCOPED_FD int socket = -1;

	return start(&socket, a, more, err) && take_answer(result_out, socket, err);
}

bool mountpoint_mount(json_t **result_out, int *token_out, struct job *job,
		      const struct mountpoint_request *request, struct err *err)
{
	SCOPED_TEXT char *helper = NULL;
	struct arguments a;
	int ends[2] = { -1, -1 };
	bool done;

	if (!helper_find(&helper, MOUNTPOINT_HELPER, err))
		return false;
	if (token_out != NULL && pipe2(ends, O_CLOEXEC) != 0)
		return err_set(err, ERR_IO, "no pipe");
	put_settings(&a, helper, job);
	put_request(&a, request);
	done = ask(result_out, &a, (struct spawn_fd){ ends[0], MOUNTPOINT_TOKEN_FD }, err);
	path_close_fd(&ends[0]);
	if (done && token_out != NULL)
		*token_out = ends[1];
	else
		path_close_fd(&ends[1]);
	return done;
}

/*
 * The kernel's words come over that device. Over anything else they would be the caller's own, said
 * to a process with more rights than his.
 */
static bool is_fuse(int fd)
{
	struct stat st;

	return fd > 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(FUSE_MAJOR, FUSE_MINOR);
}

bool mountpoint_serve(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	const struct mountpoint_request mount = {
		.package = jsondoc_text(request, "package"),
		.version = jsondoc_int(request, "version", 0),
		.fuse = job->passed,
		.user = job->caller,
	};
	SCOPED_TEXT char *helper = NULL;
	struct arguments a;

	if (mount.package == NULL || mount.version < 0 || !is_fuse(job->passed))
		return err_set(err, ERR_USAGE, "a package and FUSE's descriptor are needed");
	if (!helper_find(&helper, MOUNTPOINT_HELPER, err))
		return false;
	put_settings(&a, helper, job);
	put_request(&a, &mount);
	return ask(result_out, &a, (struct spawn_fd){ job->passed, MOUNTPOINT_FUSE_FD }, err);
}

bool mountpoint_unmount(json_t **result_out, struct job *job, const char *at, struct err *err)
{
	SCOPED_TEXT char *helper = NULL;
	struct arguments a;

	if (!helper_find(&helper, MOUNTPOINT_HELPER, err))
		return false;
	put_settings(&a, helper, job);
	put(&a, "--release", at);
	return ask(result_out, &a, NO_MORE, err);
}

void mountpoint_reconcile(struct job *job)
{
	SCOPED_TEXT char *folder = state_path(job->state, "mounts");
	SCOPED_TEXT char *helper = NULL;
	SCOPED_FD int socket = -1;
	struct arguments a;
	struct err err = { 0 };

	if (!path_exists(folder))
		return;
	if (helper_find(&helper, MOUNTPOINT_HELPER, &err)) {
		put_settings(&a, helper, job);
		a.argv[a.count++] = "--reconcile";
		if (start(&socket, &a, NO_MORE, &err))
			return;
	}
	log_warn("mounts of before are not looked after: %s", err.why);
}
