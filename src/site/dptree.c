#include "site/dptree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/library.h"
#include "content/manifest.h"
#include "content/unpack.h"
#include "site/package.h"
#include "site/release.h"

#define RETRY_S 3600

struct version {
	char package[SITE_ID_SIZE];
	int64_t number;
};

struct version_list {
	struct version *items;
	size_t count;
};

static void version_list_release(struct version_list *list)
{
	free(list->items);
}
SCOPED_RELEASE(version_list);

static bool load_list(struct version_list *out, struct db_rows *rows, struct err *err)
{
	while (db_rows_next(rows)) {
		struct version *v;

		ALLOC_GROW(out->items, out->count);
		v = &out->items[out->count++];
		snprintf(v->package, sizeof(v->package), "%s", db_rows_text(rows, 0));
		v->number = db_rows_int(rows, 1);
	}
	return db_rows_finish(rows, err);
}

static bool load_due(struct version_list *out, struct site *site, int64_t dp,
		     const struct dptree_options *o, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_TREE_DUE,
				       DB_ARGS(db_int(dp), db_text(o->package),
					       db_int(site_now(site)), db_int(o->ignores_backoff)));

	return load_list(out, &rows, err);
}

static bool load_unused(struct version_list *out, struct site *site, int64_t dp,
			const struct dptree_options *o, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_TREE_UNUSED,
				       DB_ARGS(db_int(dp), db_int(site_now(site) - o->keep_s)));

	return load_list(out, &rows, err);
}

static bool mark_unused(struct site *site, int64_t dp, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) &&
	       db_run(site->db, STMT_TREE_DOUBT, DB_ARGS(db_int(dp), db_int(site_now(site))),
		      err) &&
	       site_commit(site, err);
}

static bool record(struct outlet *o, const struct version *v, const char *state, const char *reason,
		   struct err *err)
{
	SITE_UNDO struct site *undo = o->site;

	return site_begin(o->site, err) &&
	       db_run(o->site->db, STMT_TREE_SET,
		      DB_ARGS(db_int(o->system->id), db_text(v->package), db_int(v->number),
			      db_text(state), db_int(site_now(o->site) + RETRY_S), db_text(reason)),
		      err) &&
	       site_commit(o->site, err);
}

/* "LON00001/tree/2/path"; the caller frees it. */
static char *name_of(const struct version *v, const char *path)
{
	return alloc_printf("%s/tree/%" PRId64 "/%s", v->package, v->number, path);
}

/* ---- copying ---- */

struct content {
	struct manifest *manifest;
	struct unpack unpacked;
};

static void content_release(struct content *c)
{
	unpack_close(&c->unpacked);
	manifest_free(c->manifest);
}
SCOPED_RELEASE(content);

static bool load_manifest(struct manifest **out, struct site *site, const struct version *v,
			  struct err *err)
{
	SCOPED_TEXT char *path = release_manifest_path(site, v->package, v->number);
	SCOPED(buf) struct buf bytes = { 0 };

	return path_read(&bytes, path, MANIFEST_BYTES_MAX, err) &&
	       manifest_read(out, buf_span(&bytes), err);
}

static bool load_content(struct content *c, struct site *site, const struct version *v,
			 struct err *err)
{
	SCOPED(package_release) struct package_release release = { 0 };
	SCOPED_TEXT char *folder = alloc_printf("%s/library/%s", site->dir, v->package);
	SCOPED_TEXT char *path = NULL;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };

	if (!load_manifest(&c->manifest, site, v, err) ||
	    !package_load_release(&release, site, v->package, v->number, err))
		return false;
	path = alloc_printf("%s/index/%s", folder, release.index_name);
	return path_read(&bytes, path, INDEX_BYTES_MAX, err) &&
	       index_read(&idx, buf_span(&bytes), err) &&
	       unpack_open(&c->unpacked, folder, idx, c->manifest, NULL, err);
}

/* One that an interrupted run left is kept where it is sound. */
static bool bring_file(struct outlet *o, const char *name, struct span bytes, struct err *err)
{
	const struct outlet_source source = {
		.bytes = bytes.size > 0 ? bytes : span_of("", 0),
	};
	struct digest digest;

	digest_of(&digest, bytes);
	if (!outlet_put(o, name, &source, OUTLET_CREATE, err))
		return false;
	if (outlet_check(o, name, bytes.size, &digest, err))
		return true;
	return err->code == ERR_CORRUPT && outlet_put(o, name, &source, OUTLET_REPLACE, err) &&
	       outlet_check(o, name, bytes.size, &digest, err);
}

static struct span bytes_of(const struct content *c, const struct manifest_entry *e)
{
	if (e->same_as != MANIFEST_NOT_SAME)
		e = manifest_entry_at(c->manifest, e->same_as);
	return e->size > 0 ? span_of(c->unpacked.stream.data + e->offset, (size_t)e->size)
			   : span_of(NULL, 0);
}

static bool bring_files(bool *is_late, struct outlet *o, const struct version *v,
			const struct dptree_options *options, struct err *err)
{
	SCOPED(content) struct content c = { .manifest = NULL };

	if (!load_content(&c, o->site, v, err))
		return false;
	for (uint32_t i = 0; i < manifest_entry_count(c.manifest); i++) {
		const struct manifest_entry *e = manifest_entry_at(c.manifest, i);
		SCOPED_TEXT char *name = name_of(v, e->path);

		if (e->type != MANIFEST_FILE)
			continue;
		*is_late = !options->may_go(options->ctx);
		if (*is_late || !bring_file(o, name, bytes_of(&c, e), err))
			return *is_late;
	}
	return true;
}

static bool bring(bool *failed_out, struct outlet *o, const struct version *v,
		  const struct dptree_options *options, struct err *err)
{
	struct err why = { 0 };
	bool is_late = false;

	/* What is begun is known, and so is removed, wherever it is cut off. */
	if (!record(o, v, "begun", NULL, err))
		return false;
	*failed_out = !bring_files(&is_late, o, v, options, &why);
	if (is_late)
		return true;
	return record(o, v, *failed_out ? "failed" : "valid", *failed_out ? why.why : NULL, err);
}

/* ---- removing ---- */

/* Elsewhere than in folders of this machine, folders may stay behind empty. */
static bool remove_files(struct outlet *o, const struct version *v, struct err *err)
{
	SCOPED(content) struct content c = { .manifest = NULL };
	const char *folder = outlet_folder(o);

	if (folder != NULL) {
		SCOPED_TEXT char *name = name_of(v, "");
		SCOPED_TEXT char *path = path_join(folder, name);

		path[strlen(path) - 1] = '\0';
		return path_remove_tree(path, err);
	}
	if (!load_manifest(&c.manifest, o->site, v, err))
		return false;
	for (uint32_t i = 0; i < manifest_entry_count(c.manifest); i++) {
		const struct manifest_entry *e = manifest_entry_at(c.manifest, i);
		SCOPED_TEXT char *name = name_of(v, e->path);

		if (e->type == MANIFEST_FILE && !outlet_remove(o, name, err))
			return false;
	}
	return true;
}

static bool remove_tree(struct outlet *o, const struct version *v, struct err *err)
{
	SITE_UNDO struct site *undo = o->site;
	struct err why = { 0 };

	/* A DP that fails is cleaned another time. */
	if (!remove_files(o, v, &why))
		return true;
	return site_begin(o->site, err) &&
	       db_run(o->site->db, STMT_TREE_REMOVE,
		      DB_ARGS(db_int(o->system->id), db_text(v->package), db_int(v->number)),
		      err) &&
	       site_commit(o->site, err);
}

/* ---- all ---- */

bool dptree_is_due(bool *out, struct site *site, int64_t dp, const struct dptree_options *options,
		   struct err *err)
{
	SCOPED(version_list) struct version_list due = { 0 };

	if (!mark_unused(site, dp, err) || !load_due(&due, site, dp, options, err) ||
	    !load_unused(&due, site, dp, options, err))
		return false;
	*out = due.count > 0;
	return true;
}

bool dptree_run(unsigned int *failed_out, struct outlet *o, const struct dptree_options *options,
		struct err *err)
{
	SCOPED(version_list) struct version_list due = { 0 };
	SCOPED(version_list) struct version_list unused = { 0 };

	*failed_out = 0;
	if (!load_due(&due, o->site, o->system->id, options, err) ||
	    !load_unused(&unused, o->site, o->system->id, options, err))
		return false;
	for (size_t i = 0; i < due.count; i++) {
		bool failed = false;

		if (!bring(&failed, o, &due.items[i], options, err))
			return false;
		*failed_out += failed;
	}
	for (size_t i = 0; i < unused.count; i++)
		if (!remove_tree(o, &unused.items[i], err))
			return false;
	return true;
}
