#include "site/publish.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/path.h"
#include "site/capcopy.h"
#include "site/sitekeys.h"
#include "site/system.h"

#define LOCK_WAIT_MS 120000 /* another publish ends soon */

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

static size_t replicate(json_t *rows, struct site *site, struct system_list *caps,
			const struct capcopy_job *job)
{
	size_t failed = 0;

	for (size_t i = 0; i < caps->count; i++) {
		struct err why = { 0 };
		size_t files = 0;
		bool done = capcopy_run(&files, site, &caps->items[i], job, &why);

		failed += !done;
		json_array_append_new(rows, cap_row(&caps->items[i], done, files, &why));
	}
	return failed;
}

static bool copy_to_caps(json_t *rows, size_t *failed_out, struct site *site,
			 struct repository *repo, struct system_list *caps, struct err *err)
{
	SCOPED(publication_paths) struct publication_paths files = { 0 };
	SCOPED(publication_paths) struct publication_paths garbage = { 0 };
	struct repository_role timestamp;
	struct capcopy_job job = { .files = &files, .garbage = &garbage };

	repository_files(&files, repo);
	repository_show_role(&timestamp, repo, SITEROLE_TIMESTAMP);
	job.timestamp_version = timestamp.version;
	if (!repository_garbage(&garbage, repo, site_now(site), err))
		return false;
	*failed_out = replicate(rows, site, caps, &job);
	/* Ours stay until every CAP has let go of its copy. */
	return *failed_out > 0 || repository_remove(repo, &garbage, err);
}

static bool run(json_t *doc, size_t *failed_out, struct site *site,
		const struct policydoc_settings *settings, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(system_list) struct system_list caps = { 0 };
	enum repository_outcome outcome;
	struct repository_role timestamp;
	json_t *rows = json_array();

	jsondoc_set(doc, "caps", rows);
	if (!system_load(&caps, site, MARKER_CAP, SYSTEM_LIVE, err) || !check_inbox(&caps, err) ||
	    !sitekeys_open_repository(&repo, site, err) || !stage(site, repo, settings, err) ||
	    !repository_commit(&outcome, repo, site_now(site), err))
		return false;
	repository_show_role(&timestamp, repo, SITEROLE_TIMESTAMP);
	jsondoc_set_text(doc, "outcome", outcomes[outcome]);
	jsondoc_set_int(doc, "timestamp", timestamp.version);
	return copy_to_caps(rows, failed_out, site, repo, &caps, err);
}

bool publish_run(json_t **out, size_t *failed_out, struct site *site,
		 const struct policydoc_settings *settings, struct err *err)
{
	SCOPED_FD int lock = -1;
	json_auto_t *doc = json_object();

	*failed_out = 0;
	if (!site_lock(&lock, site, "publish", LOCK_WAIT_MS, err) ||
	    !run(doc, failed_out, site, settings, err))
		return false;
	*out = json_incref(doc);
	return true;
}
