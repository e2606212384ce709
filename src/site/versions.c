#include "site/versions.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "content/library.h"
#include "content/plan.h"
#include "content/treediff.h"
#include "content/unpack.h"
#include "site/package.h"
#include "site/release.h"

/* ---- two versions ---- */

struct side {
	struct package_release release;
	struct manifest *manifest;
	struct index *index;
	struct unpack unpacked;
	struct treediff_side tree;
};

static void side_release(struct side *s)
{
	treediff_side_release(&s->tree);
	unpack_close(&s->unpacked);
	index_free(s->index);
	manifest_free(s->manifest);
	package_release_release(&s->release);
}
SCOPED_RELEASE(side);

static bool load_manifest(struct side *s, struct site *site, const char *package, int64_t version,
			  struct err *err)
{
	SCOPED_TEXT char *path = release_manifest_path(site, package, version);
	SCOPED(buf) struct buf bytes = { 0 };

	if (!package_load_release(&s->release, site, package, version, err) ||
	    !path_read(&bytes, path, MANIFEST_BYTES_MAX, err) ||
	    !manifest_read(&s->manifest, buf_span(&bytes), err))
		return false;
	s->tree.manifest = s->manifest;
	treediff_identify(&s->tree, NULL);
	return true;
}

static bool load_index(struct side *s, const struct library *lib, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	return s->index != NULL ||
	       library_read_index(&s->index, &bytes, lib, s->release.index_name, err);
}

static bool read_content(struct side *s, const struct library *lib, struct err *err)
{
	if (!load_index(s, lib, err) ||
	    !unpack_open(&s->unpacked, lib->folder, s->index, s->manifest, NULL, err))
		return false;
	treediff_identify(&s->tree, &s->unpacked.stream);
	return true;
}

static const char *const type_names[] = {
	[MANIFEST_DIR] = "folder",
	[MANIFEST_FILE] = "file",
	[MANIFEST_LINK] = "link",
};
static_assert(COUNT_OF(type_names) == MANIFEST_TYPE_COUNT_, "every type has a name");

/* What of an entry that kept its path is another; of several the first. */
static const char *what_changed(const struct treediff_change *c)
{
	if (c->kind != TREEDIFF_CHANGED)
		return NULL;
	if (c->old->type != c->new->type)
		return "type";
	if (c->has_other_bytes)
		return "content";
	if (c->new->type == MANIFEST_LINK && strcmp(c->old->target, c->new->target) != 0)
		return "target";
	return "mode";
}

static json_t *size_of(const struct manifest_entry *e)
{
	return e != NULL && e->type == MANIFEST_FILE ? json_integer((json_int_t)e->size)
						     : json_null();
}

static json_t *row_of(const struct treediff_change *c)
{
	const struct manifest_entry *e = c->new != NULL ? c->new : c->old;
	json_t *row = json_object();

	jsondoc_set_text(row, "change", treediff_kind_name(c->kind));
	jsondoc_set_text(row, "type", type_names[e->type]);
	jsondoc_set_text(row, "path", e->path);
	jsondoc_set_text(row, "was", c->kind == TREEDIFF_RENAMED ? c->old->path : NULL);
	jsondoc_set_text(row, "what", what_changed(c));
	jsondoc_set(row, "size_before", size_of(c->old));
	jsondoc_set(row, "size", size_of(c->new));
	return row;
}

static void report_changes(json_t *doc, const struct treediff *diff)
{
	json_t *rows = json_array();
	int64_t counts[TREEDIFF_KIND_COUNT_] = { 0 };

	for (size_t i = 0; i < diff->count; i++) {
		counts[diff->changes[i].kind]++;
		json_array_append_new(rows, row_of(&diff->changes[i]));
	}
	for (size_t kind = 0; kind < TREEDIFF_KIND_COUNT_; kind++)
		jsondoc_set_int(doc, treediff_kind_name((enum treediff_kind)kind), counts[kind]);
	jsondoc_set_int(doc, "unchanged", diff->unchanged);
	jsondoc_set(doc, "changes", rows);
}

static bool report_patch(json_t *doc, struct site *site, const char *package, int64_t from,
			 int64_t to, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_DELTA_ONE,
				       DB_ARGS(db_text(package), db_int(to), db_int(from)));
	const char *outcome = "not made";
	bool is_made = false;

	if (db_rows_next(&rows)) {
		outcome = db_rows_text(&rows, 0);
		is_made = strcmp(outcome, "made") == 0;
	}
	jsondoc_set_text(doc, "patch", outcome);
	jsondoc_set(doc, "bytes_patch",
		    is_made ? json_integer(db_rows_int(&rows, 1)) : json_null());
	return db_rows_finish(&rows, err);
}

static bool compare(json_t *doc, struct side *from, struct side *to, const struct library *lib,
		    struct err *err)
{
	SCOPED(treediff) struct treediff diff = { 0 };
	struct plan_cost cost;

	if (!load_index(to, lib, err) ||
	    !plan_count_ranges(&cost, to->manifest, from->manifest, to->index, err))
		return false;
	if (!treediff_is_sure(&from->tree, &to->tree) &&
	    (!read_content(from, lib, err) || !read_content(to, lib, err)))
		return false;
	treediff_compare(&diff, &from->tree, &to->tree);
	report_changes(doc, &diff);
	jsondoc_set_int(doc, "bytes_ranges", (int64_t)cost.bytes);
	jsondoc_set_int(doc, "requests", cost.requests);
	return true;
}

bool versions_compare(json_t **out, struct site *site, const char *package, int64_t from,
		      int64_t to, struct err *err)
{
	SCOPED(library) struct library lib = LIBRARY_EMPTY;
	SCOPED_TEXT char *library = site_library(site);
	SCOPED(side) struct side old = { .manifest = NULL };
	SCOPED(side) struct side new = { .manifest = NULL };
	json_auto_t *doc = json_object();

	if (!package_check(site, package, err) || !load_manifest(&old, site, package, from, err) ||
	    !load_manifest(&new, site, package, to, err) ||
	    !library_open(&lib, library, package, err))
		return false;
	jsondoc_set_text(doc, "package", package);
	jsondoc_set_int(doc, "from", from);
	jsondoc_set_int(doc, "to", to);
	if (!compare(doc, &old, &new, &lib, err) ||
	    !report_patch(doc, site, package, from, to, err))
		return false;
	*out = json_incref(doc);
	return true;
}

/* ---- all versions ---- */

bool versions_list(json_t **out, struct site *site, const char *package, struct err *err)
{
	return package_check(site, package, err) &&
	       db_list(out, site->db, STMT_VERSION_LIST, DB_ARGS(db_text(package)), err);
}
