#include "site/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/text.h"
#include "content/deltamake.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/repack.h"
#include "site/deltas.h"
#include "site/release.h"

#define PACKAGE_WAIT_MS 600000 /* a version is being made */

/* The versions of one package that stay. */
struct versions {
	struct repack_version *items;
	struct buf *manifests;
	size_t count;
	bool is_switching; /* another index is on its way to DPs */
};

static void versions_release(struct versions *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free((char *)(uintptr_t)v->items[i].index);
		buf_release(&v->manifests[i]);
	}
	free(v->items);
	free(v->manifests);
}
SCOPED_RELEASE(versions);

static bool load_rows(struct versions *out, struct site *site, const char *package, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_UPKEEP_VERSIONS, DB_ARGS(db_text(package)));

	while (db_rows_next(&rows)) {
		size_t n = out->count;

		ALLOC_GROW(out->items, out->count);
		ALLOC_GROW(out->manifests, out->count);
		out->count++;
		out->manifests[n] = (struct buf){ 0 };
		out->items[n] = (struct repack_version){
			.version = (uint32_t)db_rows_int(&rows, 0),
			.index = alloc_text(db_rows_text(&rows, 1)),
		};
		out->is_switching |= db_rows_int(&rows, 2) != 0;
	}
	return db_rows_finish(&rows, err);
}

static bool load_versions(struct versions *out, struct site *site, const char *package,
			  struct err *err)
{
	if (!load_rows(out, site, package, err))
		return false;
	for (size_t i = 0; i < out->count; i++) {
		SCOPED_TEXT char *path = release_manifest_path(site, package,
							       out->items[i].version);

		if (!path_read(&out->manifests[i], path, MANIFEST_BYTES_MAX, err))
			return false;
		out->items[i].manifest = buf_span(&out->manifests[i]);
	}
	return true;
}

/* ---- what leaves ---- */

static bool drop_versions(struct site *site, const char *package, int64_t keep_s, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	int64_t now_s = site_now(site);
	int64_t kept = MAX_OF(UPKEEP_VERSIONS, (int64_t)site->patch_versions);

	if (!site_begin(site, err) ||
	    !db_run(site->db, STMT_UPKEEP_DROP,
		    DB_ARGS(db_text(package), db_int(kept), db_int(now_s - keep_s), db_int(now_s)),
		    err))
		return false;
	return db_changed(site->db) > 0 ? site_commit_policy(site, err) : site_commit(site, err);
}

/* A plain copy on a DP is taken away by its manifest, so that one stays as long. */
static bool drop_manifests(struct site *site, const char *package, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_UPKEEP_DROPPED, DB_ARGS(db_text(package)));

	while (db_rows_next(&rows)) {
		SCOPED_TEXT char *path = release_manifest_path(site, package,
							       db_rows_int(&rows, 0));

		(void)unlink(path);
	}
	return db_rows_finish(&rows, err);
}

static bool tidy_packs(const char *library, const char *package, struct err *err)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;

	return library_open(&lib, library, package, err) && library_tidy(&lib, NULL, err);
}

static bool tidy(struct site *site, const char *package, struct err *err)
{
	SCOPED_TEXT char *library = site_library(site);

	return release_drop_indexes(site, package, err) && drop_manifests(site, package, err) &&
	       tidy_packs(library, package, err) && deltamake_tidy(library, package, err);
}

/* ---- repacking ---- */

static bool set_indexes(struct site *site, const char *package, const struct versions *versions,
			const struct repack_result *made, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!site_begin(site, err))
		return false;
	for (size_t i = 0; i < versions->count; i++)
		if (made->made[i].index[0] != '\0' &&
		    !db_run(site->db, STMT_DELTA_SET_NEXT,
			    DB_ARGS(db_text(package), db_int(versions->items[i].version),
				    db_text(made->made[i].index),
				    db_int((int64_t)made->made[i].index_size),
				    db_int(site_now(site))),
			    err))
			return false;
	return site_commit(site, err);
}

static void tell(const char *package, const struct repack_result *made)
{
	char before[32], after[32];

	text_print_size(before, made->bytes_old);
	text_print_size(after, made->bytes_new);
	log_note("%s: %u packs of %s repacked into %u of %s", package, made->packs_old, before,
		 made->packs_new, after);
}

static bool repack(struct site *site, const char *package, struct err *err)
{
	SCOPED_TEXT char *library = site_library(site);
	SCOPED(versions) struct versions versions = { 0 };
	SCOPED(repack_result) struct repack_result made = { 0 };
	struct repack_options options = { .library = library, .package = package };

	if (!load_versions(&versions, site, package, err))
		return false;
	/* One after another: a DP is brought one index at a time. */
	if (versions.is_switching || versions.count == 0)
		return true;
	options.versions = versions.items;
	options.count = versions.count;
	if (!repack_run(&made, &options, err))
		return false;
	if (made.packs_old == 0)
		return true;
	tell(package, &made);
	return set_indexes(site, package, &versions, &made, err) && deltas_switch(site, err);
}

/* ---- all ---- */

static bool keep_up(struct site *site, const char *package, int64_t keep_s, struct err *err)
{
	SCOPED_FD int lock = -1;

	return site_lock(&lock, site, "package", PACKAGE_WAIT_MS, err) &&
	       drop_versions(site, package, keep_s, err) && tidy(site, package, err) &&
	       repack(site, package, err);
}

struct ids {
	char (*items)[SITE_ID_SIZE];
	size_t count;
};

static bool load_ids(struct ids *out, struct site *site, const char *only, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_UPKEEP_PACKAGES, DB_ARGS(db_text(only)));

	while (db_rows_next(&rows)) {
		ALLOC_GROW(out->items, out->count);
		snprintf(out->items[out->count++], SITE_ID_SIZE, "%s", db_rows_text(&rows, 0));
	}
	return db_rows_finish(&rows, err);
}

bool upkeep_run(struct site *site, const struct upkeep_options *options, struct err *err)
{
	struct ids ids = { 0 };
	SCOPED_FD int lock = -1;
	bool done = site_lock(&lock, site, "deltas", options->lock_wait_ms, err) &&
		    load_ids(&ids, site, options->package, err);

	for (size_t i = 0; done && i < ids.count; i++) {
		struct err why = { 0 };

		if (keep_up(site, ids.items[i], options->keep_s, &why))
			continue;
		err_what(&why, "upkeep of %s", ids.items[i]);
		log_error(&why);
	}
	free(ids.items);
	return done;
}
