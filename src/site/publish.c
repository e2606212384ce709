#include "site/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "site/capcopy.h"
#include "site/sitekeys.h"
#include "site/squad.h"
#include "site/system.h"
#include "trust/role.h"

#define HANGS_MS     (6u * 3600 * 1000) /* no CAP takes longer, unless it is stuck */
#define LOCK_WAIT_MS 120000             /* another publish ends soon */

static const char *const outcomes[] = {
	[REPOSITORY_UNCHANGED] = "unchanged",
	[REPOSITORY_RENEWED] = "renewed",
	[REPOSITORY_CHANGED] = "changed",
};

/* The first address of a CAP takes uploads (cap add sees to that); what it cannot, --inbox must. */
static bool check_inbox(const struct system_list *caps, struct err *err)
{
	if (caps->count > 0)
		return true;
	err_set(err, ERR_REFUSED, "the site has no CAP with an inbox: no client could ever report");
	return err_fix(err, "add one first: packway-site cap add NAME URL");
}

static bool stage(struct site *site, struct repository *repo,
		  const struct policydoc_settings *settings, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) && policydoc_stage(site, repo, settings, err) &&
	       site_commit(site, err);
}

static json_t *cap_row(const struct system *cap, bool done, size_t files, const struct err *why)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "cap", cap->name);
	jsondoc_set_text(row, "state", done ? "ok" : "failed");
	jsondoc_set_int(row, "files", (int64_t)files);
	jsondoc_set(row, "reason", done ? json_null() : jsondoc_new_text(why->why));
	return row;
}

/* What became of one CAP; shared with its process. */
struct outcome {
	bool is_done;
	size_t files;
	struct err why;
};

/* A pass, as the processes that it starts see it. */
struct replication {
	struct system_list *caps;
	const struct capcopy_job *job;
	struct outcome *outcomes; /* as many as CAPs */
	uint64_t until_ms;        /* nobody is waited for longer */
};

struct publish {
	struct site *site;
	struct squad *squad;
	struct replication pass;
};

/* One process at a time writes a publication to a CAP. */
static bool lock_cap(int *fd_out, struct site *site, int64_t id, struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("publish-%" PRId64, id);

	return site_lock(fd_out, site, name, LOCK_WAIT_MS, err);
}

/* The reason goes to whoever publishes, not to the log. */
static bool serve_cap(struct site *site, int64_t id, void *ctx, struct err *err UNUSED)
{
	const struct replication *r = ctx;
	SCOPED_FD int lock = -1;
	struct outcome *o;
	size_t i = 0;

	while (i < r->caps->count && r->caps->items[i].id != id)
		i++;
	assert(i < r->caps->count);
	o = &r->outcomes[i];
	o->is_done = lock_cap(&lock, site, id, &o->why) &&
		     capcopy_run(&o->files, site, &r->caps->items[i], r->job, &o->why);
	return o->is_done;
}

static bool is_time_left(const struct publish *p)
{
	return clock_mono_ms(p->site->clock) < p->pass.until_ms;
}

static void wait_until_running(struct publish *p, size_t most)
{
	while (squad_collect(p->squad) > most && is_time_left(p))
		squad_pause(p->squad);
}

/* True once nothing of this pass runs any more; what an earlier one left may. */
static bool is_over(const struct publish *p, const bool *started)
{
	for (size_t i = 0; i < p->pass.caps->count; i++)
		if (started[i] && squad_is_running(p->squad, p->pass.caps->items[i].id))
			return false;
	return true;
}

static bool serve_caps(struct publish *p, bool *started, struct err *err)
{
	const struct system_list *caps = p->pass.caps;

	for (size_t i = 0; i < caps->count; i++) {
		const struct system *cap = &caps->items[i];

		err_set(&p->pass.outcomes[i].why, ERR_NET_TIMEOUT,
			"it is slow: its process is still at work");
		wait_until_running(p, PUBLISH_AT_ONCE - 1);
		if (squad_is_running(p->squad, cap->id) ||
		    squad_collect(p->squad) >= PUBLISH_AT_ONCE)
			continue;
		if (!squad_start(p->squad, cap->id, cap->name, err))
			return false;
		started[i] = true;
	}
	do {
		squad_pause(p->squad);
		squad_collect(p->squad);
	} while (!is_over(p, started) && is_time_left(p));
	return true;
}

static size_t tell_outcomes(json_t *rows, const struct publish *p)
{
	const struct replication *r = &p->pass;
	size_t failed = 0;

	for (size_t i = 0; i < r->caps->count; i++) {
		/* A process that goes on may write there while we read. */
		const struct outcome o = r->outcomes[i];
		bool done = o.is_done && !squad_is_running(p->squad, r->caps->items[i].id);

		failed += !done;
		json_array_append_new(rows, cap_row(&r->caps->items[i], done, o.files, &o.why));
	}
	return failed;
}

static bool replicate(json_t *rows, size_t *failed_out, struct publish *p, struct err *err)
{
	size_t size = p->pass.caps->count * sizeof(struct outcome);
	bool *started = alloc_zeroed(p->pass.caps->count, sizeof(*started));
	bool done = false;

	p->pass.outcomes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
				0);
	if (p->pass.outcomes == MAP_FAILED) {
		err_sys(err, ERR_MEMORY, errno, "shared memory");
	} else {
		done = serve_caps(p, started, err);
		*failed_out = tell_outcomes(rows, p);
		munmap(p->pass.outcomes, size);
	}
	free(started);
	return done;
}

/* The only file of a publication that a later one replaces. */
static bool read_timestamp(struct buf *out, const struct site *site, struct err *err)
{
	SCOPED_TEXT char *path = path_join3(site->dir, "published", "metadata/timestamp.json");

	return path_read(out, path, ROLE_TIMESTAMP_MAX, err);
}

static bool copy_to_caps(json_t *rows, size_t *failed_out, struct publish *p,
			 struct repository *repo, struct system_list *caps, struct err *err)
{
	SCOPED(publication_paths) struct publication_paths files = { 0 };
	SCOPED(publication_paths) struct publication_paths garbage = { 0 };
	struct repository_role timestamp;
	struct capcopy_job job = { .files = &files, .garbage = &garbage };
	SCOPED(buf) struct buf timestamp_bytes = { 0 };

	repository_files(&files, repo);
	repository_show_role(&timestamp, repo, SITEROLE_TIMESTAMP);
	job.timestamp_version = timestamp.version;
	p->pass.caps = caps;
	p->pass.job = &job;
	if (!repository_garbage(&garbage, repo, site_now(p->site), err) ||
	    !read_timestamp(&timestamp_bytes, p->site, err))
		return false;
	job.timestamp = buf_span(&timestamp_bytes);
	if (!replicate(rows, failed_out, p, err))
		return false;
	/* Ours stay until every CAP has let go of its copy. */
	return *failed_out > 0 || repository_remove(repo, &garbage, err);
}

static bool run(json_t *doc, size_t *failed_out, struct publish *p,
		const struct policydoc_settings *settings, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(system_list) struct system_list caps = { 0 };
	enum repository_outcome outcome;
	struct repository_role timestamp;
	struct site *site = p->site;
	json_t *rows = json_array();

	jsondoc_set(doc, "caps", rows);
	if (!system_load(&caps, site, MARKER_CAP, SYSTEM_LIVE, err) || !check_inbox(&caps, err) ||
	    !sitekeys_open_repository(&repo, site, err) || !stage(site, repo, settings, err) ||
	    !repository_commit(&outcome, repo, site_now(site), err))
		return false;
	repository_show_role(&timestamp, repo, SITEROLE_TIMESTAMP);
	jsondoc_set_text(doc, "outcome", outcomes[outcome]);
	jsondoc_set_int(doc, "timestamp", timestamp.version);
	jsondoc_set(doc, "waiting", sitekeys_waiting(repo));
	return sitekeys_note_waiting(site, json_object_get(doc, "waiting"), err) &&
	       copy_to_caps(rows, failed_out, p, repo, &caps, err);
}

bool publish_request(json_t **out, struct site *site, const struct policydoc_settings *settings,
		     struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED_FD int lock = -1;
	json_t *roles;

	if (!site_lock(&lock, site, "publish", LOCK_WAIT_MS, err) ||
	    !sitekeys_open_repository(&repo, site, err) || !stage(site, repo, settings, err) ||
	    !repository_request(&roles, repo, site_now(site), err))
		return false;
	*out = sitekeys_new_request(site, roles);
	return true;
}

struct publish *publish_open(struct site *site)
{
	struct publish *p = alloc_zeroed(1, sizeof(*p));

	p->site = site;
	p->squad = squad_new(site, serve_cap, &p->pass);
	return p;
}

void publish_close(struct publish *p)
{
	if (p == NULL)
		return;
	squad_free(p->squad);
	free(p);
}

static bool pass(json_t **out, size_t *failed_out, struct publish *p,
		 const struct policydoc_settings *settings, struct err *err)
{
	SCOPED_FD int lock = -1;
	json_auto_t *doc = json_object();

	*failed_out = 0;
	if (!site_lock(&lock, p->site, "publish", LOCK_WAIT_MS, err) ||
	    !run(doc, failed_out, p, settings, err))
		return false;
	*out = json_incref(doc);
	return true;
}

bool publish_pass(json_t **out, size_t *failed_out, struct publish *p,
		  const struct policydoc_settings *settings, int64_t patience_s, struct err *err)
{
	/* One that hangs for ever gets another chance. */
	squad_put_off(p->squad, HANGS_MS);
	p->pass.until_ms = clock_mono_ms(p->site->clock) + (uint64_t)patience_s * 1000;
	return pass(out, failed_out, p, settings, err);
}

bool publish_run(json_t **out, size_t *failed_out, struct site *site,
		 const struct policydoc_settings *settings, struct err *err)
{
	SCOPED(publish) struct publish *p = publish_open(site);

	p->pass.until_ms = UINT64_MAX;
	return pass(out, failed_out, p, settings, err);
}
