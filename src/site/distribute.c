#include "site/distribute.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "site/dpcopy.h"
#include "site/package.h"
#include "site/system.h"

#define LOCK_WAIT_MS 600000 /* another distribution; it ends with its slowest DP */
#define LOOK_MS      50     /* between two looks at the processes */

static bool want_one(struct site *site, const struct system *dp, const char *package,
		     struct err *err)
{
	return db_run(site->db, STMT_DP_WANT,
		      DB_ARGS(db_int(dp->id), db_text(package), db_int(site_now(site))), err);
}

static bool want_named(struct site *site, const struct system_list *list, const char *package,
		       const char *name, struct err *err)
{
	const struct system *dp = system_find(list, name);

	if (dp != NULL)
		return want_one(site, dp, package, err);
	err_set(err, ERR_NOT_FOUND, "there is no DP \"%s\"", name);
	return err_fix(err, "see 'packway-site dp list'");
}

bool distribute_want(struct site *site, const char *package, const char *const *dps,
		     size_t dp_count, struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };
	SITE_UNDO struct site *undo = site;

	if (!package_check(site, package, err) ||
	    !system_load(&list, site, MARKER_DP, SYSTEM_LIVE, err) || !site_begin(site, err))
		return false;
	if (list.count == 0) {
		err_set(err, ERR_NOT_FOUND, "the site has no DP");
		return err_fix(err, "add one first: packway-site dp add NAME URL");
	}
	for (size_t i = 0; i < dp_count; i++)
		if (!want_named(site, &list, package, dps[i], err))
			return false;
	for (size_t i = 0; dp_count == 0 && i < list.count; i++)
		if (!want_one(site, &list.items[i], package, err))
			return false;
	return site_commit_policy(site, err);
}

/* One distribution: its DPs, and the processes that serve them. */
struct crew {
	struct site *site;
	const struct distribute_options *options;
	struct system_list dps;
	pid_t *pids;                  /* per DP; 0: not running */
	struct dpcopy_counts *counts; /* shared */
	size_t failed;
};

static bool is_asked_for(const struct distribute_options *options, const struct system *dp)
{
	for (size_t i = 0; i < options->dp_count; i++)
		if (!dp->is_removed && strcmp(options->dps[i], dp->name) == 0)
			return true;
	return options->dp_count == 0;
}

/* In the child: a connection and a life of its own. */
static void serve_dp(const struct crew *crew, struct system *dp)
{
	const struct dpcopy_options options = {
		.package = crew->options->package,
		.ignores_backoff = crew->options->ignores_backoff,
		.keep_s = crew->options->keep_s,
		.counts = crew->counts,
	};
	struct site *site = NULL;
	struct err err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (site_open(&site, crew->site->dir, crew->site->clock, &err)) {
		site->tls_ca = crew->site->tls_ca;
		if (dpcopy_run(site, dp, &options, &err))
			_exit(0);
	}
	err_what(&err, "distributing to %s", dp->name);
	log_error(&err);
	_exit(1);
}

static bool start(struct crew *crew, size_t number, struct err *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(err, ERR_IO, errno, "starting a process for %s",
			       crew->dps.items[number].name);
	if (pid == 0)
		serve_dp(crew, &crew->dps.items[number]);
	crew->pids[number] = pid;
	return true;
}

static void show(const struct crew *crew)
{
	if (crew->options->progress != NULL)
		crew->options->progress(atomic_load(&crew->counts->done_bytes),
					atomic_load(&crew->counts->total_bytes),
					crew->options->progress_ctx);
}

/* Collect who has ended; returns how many are still running. */
static size_t collect(struct crew *crew)
{
	size_t running = 0;

	for (size_t i = 0; i < crew->dps.count; i++) {
		int status;

		if (crew->pids[i] == 0)
			continue;
		if (waitpid(crew->pids[i], &status, WNOHANG) == 0) {
			running++;
			continue;
		}
		crew->pids[i] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			crew->failed++;
	}
	return running;
}

static void wait_a_moment(void)
{
	const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000 };

	nanosleep(&wait, NULL);
}

static bool work_through(struct crew *crew, struct err *err)
{
	bool done = true;

	for (size_t i = 0; done && i < crew->dps.count; i++) {
		if (!is_asked_for(crew->options, &crew->dps.items[i]))
			continue;
		while (collect(crew) >= DISTRIBUTE_AT_ONCE) {
			show(crew);
			wait_a_moment();
		}
		done = start(crew, i, err);
	}
	while (collect(crew) > 0) {
		show(crew);
		wait_a_moment();
	}
	show(crew);
	return done;
}

bool distribute_run(size_t *failed_out, struct site *site, const struct distribute_options *options,
		    struct err *err)
{
	struct crew crew = { .site = site, .options = options };
	SCOPED_FD int lock = -1;
	bool done;

	if (!site_lock(&lock, site, "distribute", LOCK_WAIT_MS, err) ||
	    !system_load(&crew.dps, site, MARKER_DP, SYSTEM_LIVE_AND_REMOVED, err))
		return false;
	crew.counts = mmap(NULL, sizeof(*crew.counts), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew.counts == MAP_FAILED) {
		system_list_release(&crew.dps);
		return err_sys(err, ERR_MEMORY, errno, "shared counters");
	}
	crew.pids = alloc_zeroed(crew.dps.count, sizeof(*crew.pids));
	done = work_through(&crew, err);
	*failed_out = crew.failed + atomic_load(&crew.counts->failed);
	munmap(crew.counts, sizeof(*crew.counts));
	free(crew.pids);
	system_list_release(&crew.dps);
	return done;
}

bool distribute_validate(json_t **out, struct site *site, const char *dp, const char *package,
			 struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };
	SCOPED_FD int lock = -1;
	json_auto_t *rows = json_array();
	struct system *system;

	if ((package != NULL && !package_check(site, package, err)) ||
	    !system_load(&list, site, MARKER_DP, SYSTEM_LIVE, err))
		return false;
	system = system_find(&list, dp);
	if (system == NULL)
		return err_set(err, ERR_NOT_FOUND, "there is no DP \"%s\"", dp);
	if (!site_lock(&lock, site, "distribute", LOCK_WAIT_MS, err) ||
	    !dpcopy_validate(rows, site, system, package, err))
		return false;
	*out = json_incref(rows);
	return true;
}

bool distribute_status(json_t **out, struct site *site, const char *dp, const char *package,
		       struct err *err)
{
	return db_list(out, site->db, STMT_DP_STATUS, DB_ARGS(db_text(dp), db_text(package)), err);
}
