#include "site/deltas.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "content/deltamake.h"
#include "content/manifest.h"
#include "site/package.h"
#include "site/release.h"

#define ORIGINS_MAX (SITE_PATCH_VERSIONS_MAX + 1) /* and one that is none */
#define NICENESS    10

#define PACKAGE_WAIT_MS 600000 /* a version is being made */

/* A version with what deltamake wants to know of it. */
struct source {
	struct package_release release;
	struct buf manifest;
};

static void source_release(struct source *s)
{
	package_release_release(&s->release);
	buf_release(&s->manifest);
}
SCOPED_RELEASE(source);

static bool load_source(struct source *out, struct site *site, const char *package, int64_t version,
			struct err *err)
{
	SCOPED_TEXT char *path = release_manifest_path(site, package, version);

	return package_load_release(&out->release, site, package, version, err) &&
	       path_read(&out->manifest, path, MANIFEST_BYTES_MAX, err);
}

static struct deltamake_version version_of(const struct source *s)
{
	return (struct deltamake_version){
		.version = (uint32_t)s->release.version,
		.index = s->release.index_name,
		.manifest = buf_span(&s->manifest),
	};
}

/* --- one making, in a process of its own ------------------------------------------------------ */

/* What the process answers with. */
struct answer {
	bool done;
	struct deltamake_result result;
	struct err err;
};

static void make_in_child(int to, const struct deltamake_options *options)
{
	struct answer answer = { .done = false };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!nice(NICENESS);
	answer.done = deltamake_run(&answer.result, options, &answer.err);
	_exit(write(to, &answer, sizeof(answer)) == (ssize_t)sizeof(answer) ? 0 : 1);
}

static bool wait_for_answer(struct answer *out, int from, pid_t pid, struct err *err)
{
	ssize_t size = path_read_fd(from, out, sizeof(*out));
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (size == (ssize_t)sizeof(*out))
		return true;
	return err_set(err, ERR_INTERRUPTED, "the process that made it has died");
}

static bool make(struct deltamake_result *out, const struct deltamake_options *options,
		 struct err *err)
{
	struct answer answer;
	int ends[2];
	bool done;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, errno, "pipe");
	pid = fork();
	if (pid == 0)
		make_in_child(ends[1], options);
	close(ends[1]);
	done = pid > 0 ? wait_for_answer(&answer, ends[0], pid, err)
		       : err_sys(err, ERR_IO, errno, "starting a process");
	close(ends[0]);
	if (!done)
		return false;
	if (!answer.done)
		*err = answer.err;
	*out = answer.result;
	return answer.done;
}

/* --- a version -------------------------------------------------------------------------------- */

struct origins {
	int64_t items[ORIGINS_MAX];
	size_t count;
};

static bool load_origins(struct origins *out, struct site *site, const char *package,
			 int64_t version, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_DELTA_ORIGINS,
				       DB_ARGS(db_text(package), db_int(version),
					       db_int(site->patch_versions),
					       db_int(site_now(site) - DELTAS_RETRY_S)));

	out->count = 0;
	while (db_rows_next(&rows) && out->count < ORIGINS_MAX)
		out->items[out->count++] = db_rows_int(&rows, 0);
	return db_rows_finish(&rows, err);
}

/* The first-install stream that was made of a version; 0 if there is none. */
static bool load_stream_size(uint64_t *out, struct site *site, const char *package, int64_t version,
			     struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_DELTA_ONE,
				       DB_ARGS(db_text(package), db_int(version), db_int(0)));

	*out = 0;
	if (db_rows_next(&rows) &&
	    strcmp(db_rows_text(&rows, 0), deltamake_outcome_name(DELTAMAKE_MADE)) == 0)
		*out = (uint64_t)db_rows_int(&rows, 1);
	return db_rows_finish(&rows, err);
}

static bool record(struct site *site, const char *package, int64_t version, int64_t origin,
		   const char *outcome, const struct deltamake_result *r, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, &r->delta.digest);
	return site_begin(site, err) &&
	       db_run(site->db, STMT_DELTA_SET,
		      DB_ARGS(db_text(package), db_int(version), db_int(origin), db_text(outcome),
			      r->outcome == DELTAMAKE_MADE ? db_text(hex) : db_null(),
			      db_int((int64_t)r->delta.size), db_int((int64_t)r->without),
			      db_int(site_now(site))),
		      err) &&
	       site_commit(site, err);
}

static void tell(const struct deltas_options *options, const char *package, int64_t version,
		 int64_t origin)
{
	SCOPED_TEXT char *text = NULL;

	if (options->told == NULL)
		return;
	text = origin == 0
		       ? alloc_printf("making the first-install stream of %s version %" PRId64,
				      package, version)
		       : alloc_printf("making the patch of %s from version %" PRId64 " to %" PRId64,
				      package, origin, version);
	options->told(text, options->ctx);
}

/* A fault leaves the version as it is: it goes without, and is tried again later. */
static bool make_one(bool *made_out, struct site *site, const struct deltas_options *options,
		     const char *package, const struct source *to, int64_t origin, struct err *err)
{
	SCOPED_TEXT char *library = site_library(site);
	SCOPED(source) struct source from = { .manifest = { 0 } };
	struct deltamake_version from_version;
	struct deltamake_options todo = {
		.library = library,
		.package = package,
		.to = version_of(to),
		.memory_max = options->memory_max,
		.cpu_percent = options->cpu_percent,
	};
	struct deltamake_result result = { .outcome = DELTAMAKE_NOT_WORTH };
	struct err why = { 0 };

	if (origin != 0) {
		if (!load_source(&from, site, package, origin, err) ||
		    !load_stream_size(&todo.stream_size, site, package, to->release.version, err))
			return false;
		from_version = version_of(&from);
		todo.from = &from_version;
	}
	tell(options, package, to->release.version, origin);
	if (make(&result, &todo, &why)) {
		*made_out |= result.outcome == DELTAMAKE_MADE;
		return record(site, package, to->release.version, origin,
			      deltamake_outcome_name(result.outcome), &result, err);
	}
	err_what(&why, "a patch of %s", package);
	log_error(&why);
	result.outcome = DELTAMAKE_NOT_WORTH;
	return record(site, package, to->release.version, origin, "failed", &result, err);
}

/* --- the index that lists them ---------------------------------------------------------------- */

struct made {
	struct index_delta items[ORIGINS_MAX];
	size_t count;
};

static bool load_made(struct made *out, struct site *site, const char *package, int64_t version,
		      struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_DELTA_MADE,
				       DB_ARGS(db_text(package), db_int(version)));

	out->count = 0;
	while (db_rows_next(&rows) && out->count < COUNT_OF(out->items)) {
		struct index_delta *d = &out->items[out->count];

		d->from = (uint32_t)db_rows_int(&rows, 0);
		d->kind = d->from == 0 ? INDEX_STREAM : INDEX_PATCH;
		d->size = (uint64_t)db_rows_int(&rows, 2);
		if (digest_parse(&d->digest, db_rows_text(&rows, 1)))
			out->count++;
	}
	return db_rows_finish(&rows, err);
}

static bool index_size(uint64_t *out, const char *library, const char *package, const char *name,
		       struct err *err)
{
	SCOPED_TEXT char *path = alloc_printf("%s/%s/index/%s", library, package, name);
	SCOPED(buf) struct buf bytes = { 0 };

	if (!path_read(&bytes, path, INDEX_BYTES_MAX, err))
		return false;
	*out = bytes.size;
	return true;
}

static bool set_next(struct site *site, const char *package, int64_t version, const char *name,
		     uint64_t size, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) &&
	       db_run(site->db, STMT_DELTA_SET_NEXT,
		      DB_ARGS(db_text(package), db_int(version), db_text(name),
			      db_int((int64_t)size), db_int(site_now(site))),
		      err) &&
	       site_commit(site, err);
}

/* What the DPs are getting already counts: a repacked version's index, for example. */
static bool load_newest_index(char **out, struct site *site, const char *package, int64_t version,
			      struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_DELTA_INDEX,
				       DB_ARGS(db_text(package), db_int(version)));

	if (db_rows_next(&rows))
		*out = alloc_text(db_rows_text(&rows, 0));
	return db_rows_finish(&rows, err) &&
	       (*out != NULL || err_set(err, ERR_NOT_FOUND, "the version has gone"));
}

static bool list_made(struct site *site, const char *package, const struct source *to,
		      struct err *err)
{
	SCOPED_TEXT char *library = site_library(site);
	int64_t version = to->release.version;
	char name[INDEX_NAME_MAX];
	SCOPED_TEXT char *newest = NULL;
	SCOPED_FD int lock = -1;
	struct made made;
	uint64_t size;

	/* Whoever makes a version, or tidies, removes indexes that the database does not name. */
	return site_lock(&lock, site, "package", PACKAGE_WAIT_MS, err) &&
	       load_made(&made, site, package, version, err) &&
	       load_newest_index(&newest, site, package, version, err) &&
	       deltamake_list(name, library, package, newest, made.items, made.count, err) &&
	       index_size(&size, library, package, name, err) &&
	       set_next(site, package, version, name, size, err) && deltas_switch(site, err);
}

/* --- all -------------------------------------------------------------------------------------- */

static bool serve_package(struct site *site, const struct deltas_options *options,
			  const char *package, int64_t latest, struct err *err)
{
	SCOPED(source) struct source to = { .manifest = { 0 } };
	struct origins origins;
	bool made = false;

	if (!load_origins(&origins, site, package, latest, err))
		return false;
	if (origins.count == 0)
		return true;
	if (!load_source(&to, site, package, latest, err))
		return false;
	for (size_t i = 0; i < origins.count; i++)
		if (!make_one(&made, site, options, package, &to, origins.items[i], err))
			return false;
	return !made || list_made(site, package, &to, err);
}

struct packages {
	char (*ids)[SITE_ID_SIZE];
	int64_t *latest;
	size_t count;
};

static void packages_release(struct packages *p)
{
	free(p->ids);
	free(p->latest);
}
SCOPED_RELEASE(packages);

static bool load_packages(struct packages *out, struct site *site, const char *only,
			  struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_DELTA_PACKAGES, DB_ARGS(db_text(only)));

	while (db_rows_next(&rows)) {
		size_t n = out->count;

		ALLOC_GROW(out->ids, out->count);
		ALLOC_GROW(out->latest, out->count);
		out->count++;
		snprintf(out->ids[n], SITE_ID_SIZE, "%s", db_rows_text(&rows, 0));
		out->latest[n] = db_rows_int(&rows, 1);
	}
	return db_rows_finish(&rows, err);
}

bool deltas_run(struct site *site, const struct deltas_options *options, struct err *err)
{
	SCOPED(packages) struct packages packages = { 0 };
	SCOPED_FD int lock = -1;

	if (!site_lock(&lock, site, "deltas", options->lock_wait_ms, err) ||
	    !load_packages(&packages, site, options->package, err))
		return false;
	for (size_t i = 0; i < packages.count; i++)
		if (!serve_package(site, options, packages.ids[i], packages.latest[i], err))
			return false;
	return true;
}

bool deltas_switch(struct site *site, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!site_begin(site, err) ||
	    !db_run(site->db, STMT_DELTA_SWITCH, DB_ARGS(db_int(site_now(site) - DELTAS_SWITCH_S)),
		    err))
		return false;
	return db_changed(site->db) > 0 ? site_commit_policy(site, err) : site_commit(site, err);
}
