#include "site/distribute.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "common/alloc.h"
#include "common/path.h"
#include "site/deltas.h"
#include "site/dpcopy.h"
#include "site/package.h"
#include "site/squad.h"
#include "site/system.h"

#define LOCK_WAIT_MS (24u * 3600 * 1000) /* as long as another process may be at work for a DP */

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

bool distribute_want_within(struct site *site, const char *package, const char *const *dps,
			    size_t dp_count, struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };

	if (!package_check(site, package, err) ||
	    !system_load(&list, site, MARKER_DP, SYSTEM_LIVE, err))
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
	return true;
}

bool distribute_want(struct site *site, const char *package, const char *const *dps,
		     size_t dp_count, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) && distribute_want_within(site, package, dps, dp_count, err) &&
	       site_commit_policy(site, err);
}

static bool is_asked_for(const struct distribute_options *options, const struct system *dp)
{
	for (size_t i = 0; i < options->dp_count; i++)
		if (!dp->is_removed && strcmp(options->dps[i], dp->name) == 0)
			return true;
	return options->dp_count == 0;
}

bool distribute_want_trees(struct site *site, const char *package, const char *const *dps,
			   size_t dp_count, struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };
	const struct distribute_options asked = { .dps = dps, .dp_count = dp_count };
	SITE_UNDO struct site *undo = site;

	if (!system_load(&list, site, MARKER_DP, SYSTEM_LIVE, err) || !site_begin(site, err))
		return false;
	for (size_t i = 0; i < list.count; i++) {
		const struct system *dp = &list.items[i];

		if (!is_asked_for(&asked, dp) || (dp->is_external && dp_count == 0))
			continue;
		if (dp->is_external)
			return err_set(err, ERR_REFUSED,
				       "DP \"%s\" is external: nothing is copied there", dp->name);
		if (!db_run(site->db, STMT_TREE_WANT, DB_ARGS(db_int(dp->id), db_text(package)),
			    err))
			return false;
	}
	return site_commit(site, err);
}

/* One distribution: its DPs, and the processes that serve them. */
struct distribution {
	struct site *site;
	const struct distribute_options *options;
	uint32_t lock_wait_ms;
	struct system_list dps;
	struct dpcopy_counts *counts; /* shared */
};

/* One process at a time writes to a DP; others are not its business. */
static bool lock_dp(int *fd_out, struct site *site, const struct system *dp, uint32_t wait_ms,
		    struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("distribute-%" PRId64, dp->id);

	return site_lock(fd_out, site, name, wait_ms, err);
}

static struct system *find_dp(struct distribution *d, int64_t id)
{
	for (size_t i = 0; i < d->dps.count; i++)
		if (d->dps.items[i].id == id)
			return &d->dps.items[i];
	return NULL;
}

static bool serve_dp(struct site *site, int64_t id, void *ctx, struct err *err)
{
	struct distribution *d = ctx;
	const struct dpcopy_options options = {
		.package = d->options->package,
		.ignores_backoff = d->options->ignores_backoff,
		.keep_s = d->options->keep_s,
		.counts = d->counts,
	};
	struct system *dp = find_dp(d, id);
	SCOPED_FD int lock = -1;

	assert(dp != NULL);
	if (!lock_dp(&lock, site, dp, d->lock_wait_ms, err))
		/* Who does not wait comes again. */
		return d->lock_wait_ms == 0 && err->code == ERR_LOCKED;
	return dpcopy_run(site, dp, &options, err);
}

static void show(const struct distribution *d)
{
	if (d->options->progress != NULL)
		d->options->progress(atomic_load(&d->counts->done_bytes),
				     atomic_load(&d->counts->total_bytes),
				     d->options->progress_ctx);
}

static bool work_through(struct distribution *d, struct squad *squad, struct err *err)
{
	bool done = true;

	for (size_t i = 0; done && i < d->dps.count; i++) {
		const struct system *dp = &d->dps.items[i];

		if (!is_asked_for(d->options, dp))
			continue;
		while (squad_collect(squad) >= DISTRIBUTE_AT_ONCE) {
			show(d);
			squad_pause(squad);
		}
		done = squad_start(squad, dp->id, dp->name, err);
	}
	while (squad_collect(squad) > 0) {
		show(d);
		squad_pause(squad);
	}
	show(d);
	return done;
}

static bool begin(struct distribution *d, struct err *err)
{
	d->counts = mmap(NULL, sizeof(*d->counts), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->counts != MAP_FAILED)
		return true;
	d->counts = NULL;
	return err_sys(err, ERR_MEMORY, errno, "shared counters");
}

static void end(struct distribution *d)
{
	if (d->counts != NULL)
		munmap(d->counts, sizeof(*d->counts));
	system_list_release(&d->dps);
}

bool distribute_run(size_t *failed_out, struct site *site, const struct distribute_options *options,
		    struct err *err)
{
	struct distribution d = { .site = site, .options = options, .lock_wait_ms = LOCK_WAIT_MS };
	SCOPED(squad) struct squad *squad = squad_new(site, serve_dp, &d);
	bool done = begin(&d, err) &&
		    system_load(&d.dps, site, MARKER_DP, SYSTEM_LIVE_AND_REMOVED, err) &&
		    work_through(&d, squad, err);

	*failed_out = 0;
	done = done && deltas_switch(site, err);
	if (done)
		*failed_out = squad_failed(squad) + atomic_load(&d.counts->failed);
	end(&d);
	return done;
}

/* Start what has no process, as far as there is room; `from` goes round, so that each has its turn.
 */
static bool start_idle(struct distribution *d, struct squad *squad, size_t *from, struct err *err)
{
	size_t count = d->dps.count, first = count > 0 ? *from % count : 0;

	for (size_t i = 0; i < count && squad_collect(squad) < DISTRIBUTE_AT_ONCE; i++) {
		const struct system *dp = &d->dps.items[(first + i) % count];

		*from = first + i + 1;
		if (!squad_is_running(squad, dp->id) && !squad_start(squad, dp->id, dp->name, err))
			return false;
	}
	return true;
}

bool distribute_keep_up(struct site *site, const struct distribute_options *options,
			int64_t every_s, struct err *err)
{
	struct distribution d = { .site = site, .options = options };
	SCOPED(squad) struct squad *squad = squad_new(site, serve_dp, &d);
	bool done = begin(&d, err);
	size_t from = 0;

	while (done) {
		uint64_t until_ms = clock_mono_ms(site->clock) + (uint64_t)every_s * 1000;

		system_list_release(&d.dps);
		done = system_load(&d.dps, site, MARKER_DP, SYSTEM_LIVE_AND_REMOVED, err) &&
		       start_idle(&d, squad, &from, err) && deltas_switch(site, err);
		while (done && clock_mono_ms(site->clock) < until_ms) {
			squad_collect(squad);
			squad_pause(squad);
		}
	}
	end(&d);
	return false;
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
	if (!lock_dp(&lock, site, system, LOCK_WAIT_MS, err) ||
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
