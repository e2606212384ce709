#include "site/package.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "site/checks.h"

void package_info_release(struct package_info *info)
{
	free(info->name);
	free(info->source);
	*info = (struct package_info){ 0 };
}

void package_release_release(struct package_release *release)
{
	free(release->manifest);
	free(release->index_name);
	free(release->identity);
	*release = (struct package_release){ 0 };
}

bool package_load(struct package_info *out, struct site *site, const char *id, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };

	if (!checks_object_id(id, "a package", err))
		return false;
	rows = db_query(site->db, STMT_PACKAGE_FIND, DB_ARGS(db_text(id)));
	if (!db_rows_next(&rows)) {
		if (!db_rows_finish(&rows, err))
			return false;
		err_set(err, ERR_NOT_FOUND, "there is no package %s", id);
		return err_fix(err, "see 'packway-site package list'");
	}
	snprintf(out->id, sizeof(out->id), "%s", id);
	out->name = alloc_text(db_rows_text(&rows, 1));
	out->source = alloc_text(db_rows_text(&rows, 2));
	out->latest = db_rows_int(&rows, 3);
	return true;
}

bool package_check(struct site *site, const char *id, struct err *err)
{
	SCOPED(package_info) struct package_info info = { 0 };

	return package_load(&info, site, id, err);
}

bool package_load_release(struct package_release *out, struct site *site, const char *id,
			  int64_t version, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_PACKAGE_VERSION,
				       DB_ARGS(db_text(id), db_int(version)));

	if (!db_rows_next(&rows)) {
		if (!db_rows_finish(&rows, err))
			return false;
		err_set(err, ERR_NOT_FOUND, "package %s has no version %" PRId64, id, version);
		return err_fix(err, "see 'packway-site package show %s'", id);
	}
	*out = (struct package_release){
		.version = version,
		.manifest = alloc_text(db_rows_text(&rows, 0)),
		.manifest_size = db_rows_int(&rows, 1),
		.index_name = alloc_text(db_rows_text(&rows, 2)),
		.index_size = db_rows_int(&rows, 3),
		.files = db_rows_int(&rows, 4),
		.bytes = db_rows_int(&rows, 5),
		.bytes_new = db_rows_int(&rows, 6),
		.identity = alloc_text(db_rows_text(&rows, 7)),
	};
	return true;
}

bool package_add_release(struct site *site, const char *id, const struct package_release *release,
			 struct err *err)
{
	return db_run(site->db, STMT_PACKAGE_ADD_VERSION,
		      DB_ARGS(db_text(id), db_int(release->version), db_text(release->identity),
			      db_text(release->manifest), db_int(release->manifest_size),
			      db_text(release->index_name), db_int(release->index_size),
			      db_int(release->files), db_int(release->bytes),
			      db_int(release->bytes_new), db_int(site_now(site))),
		      err) &&
	       db_run(site->db, STMT_PACKAGE_SET_LATEST,
		      DB_ARGS(db_text(id), db_int(release->version)), err);
}

bool package_list(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_PACKAGE_LIST, DB_NO_ARGS, err);
}

/* Parts of `show`: a member of the object per statement over the package's id. */
static const struct {
	const char *key;
	enum site_statement statement;
} parts[] = {
	{ "versions", STMT_PACKAGE_VERSIONS },
	{ "programs", STMT_PROGRAM_LIST },
	{ "dps", STMT_PACKAGE_DPS },
};

bool package_show(json_t **out, struct site *site, const char *id, struct err *err)
{
	SCOPED(package_info) struct package_info info = { 0 };
	json_auto_t *object = json_object();

	if (!package_load(&info, site, id, err))
		return false;
	jsondoc_set_text(object, "id", info.id);
	jsondoc_set(object, "name", jsondoc_new_text(info.name));
	jsondoc_set(object, "source", jsondoc_new_text(info.source));
	jsondoc_set_int(object, "version", info.latest);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		json_t *rows;

		if (!db_list(&rows, site->db, parts[i].statement, DB_ARGS(db_text(id)), err))
			return false;
		jsondoc_set(object, parts[i].key, rows);
	}
	*out = json_incref(object);
	return true;
}

bool package_remove(struct site *site, const char *id, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) && package_check(site, id, err) &&
	       checks_unused(site, STMT_PACKAGE_USERS, "package", id, err) &&
	       db_run(site->db, STMT_PROGRAM_FORGET_ORDER, DB_ARGS(db_text(id)), err) &&
	       db_run(site->db, STMT_PROGRAM_REMOVE_ALL, DB_ARGS(db_text(id)), err) &&
	       db_run(site->db, STMT_DP_FORGET_PACKAGE, DB_ARGS(db_text(id)), err) &&
	       db_run(site->db, STMT_PACKAGE_REMOVE, DB_ARGS(db_text(id), db_int(site_now(site))),
		      err) &&
	       site_commit_policy(site, err);
}
