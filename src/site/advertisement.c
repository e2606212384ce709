#include "site/advertisement.h"

#include <inttypes.h>

#include "common/text.h"
#include "site/checks.h"
#include "site/collection.h"
#include "site/package.h"

static bool check_program(struct site *site, const struct advertisement_spec *spec, struct err *err)
{
	int64_t exists;

	if (!package_check(site, spec->package, err) ||
	    !db_number(&exists, site->db, STMT_PROGRAM_EXISTS,
		       DB_ARGS(db_text(spec->package), db_text(spec->program)), 0, err))
		return false;
	if (exists)
		return true;
	err_set(err, ERR_NOT_FOUND, "package %s has no program \"%s\"", spec->package,
		spec->program);
	return err_fix(err, "see 'packway-site package show %s'", spec->package);
}

static bool check_version(struct site *site, const struct advertisement_spec *spec, struct err *err)
{
	SCOPED(package_release) struct package_release release = { 0 };

	return spec->version == 0 ||
	       package_load_release(&release, site, spec->package, spec->version, err);
}

static bool check_times(const struct advertisement_spec *spec, int64_t now_s, struct err *err)
{
	if (spec->expires_s < 0)
		return true;
	if (spec->expires_s <= now_s)
		return err_set(err, ERR_USAGE, "--expires lies in the past");
	if (spec->available_s >= spec->expires_s)
		return err_set(err, ERR_USAGE, "--available is not before --expires");
	if (spec->mandatory_s >= spec->expires_s)
		return err_set(err, ERR_USAGE, "--mandatory is not before --expires");
	return true;
}

static bool check_offer(const struct advertisement_spec *spec, struct err *err)
{
	if (spec->offer_to == NULL || text_is_name(spec->offer_to))
		return true;
	return err_set(err, ERR_USAGE, "--offer-to: \"%s\" is not the name of a user group",
		       spec->offer_to);
}

static struct db_value time_or_null(int64_t time_s)
{
	return time_s >= 0 ? db_int(time_s) : db_null();
}

static bool insert(const char *id, struct site *site, const struct advertisement_spec *spec,
		   struct err *err)
{
	return db_run(site->db, STMT_ADVERTISEMENT_ADD,
		      DB_ARGS(db_text(id), db_text(spec->package), db_text(spec->program),
			      db_text(spec->collection),
			      spec->version > 0 ? db_int(spec->version) : db_null(),
			      time_or_null(spec->available_s), time_or_null(spec->mandatory_s),
			      time_or_null(spec->expires_s), db_text(spec->window),
			      db_text(spec->offer_to), db_int(site_now(site))),
		      err);
}

bool advertisement_add(char *id_out, struct site *site, const struct advertisement_spec *spec,
		       struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return check_times(spec, site_now(site), err) && check_offer(spec, err) &&
	       site_begin(site, err) && check_program(site, spec, err) &&
	       check_version(site, spec, err) && collection_check(site, spec->collection, err) &&
	       site_new_advertisement_id(id_out, site, err) && insert(id_out, site, spec, err) &&
	       site_commit_policy(site, err);
}

static bool unknown(const char *id, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "there is no advertisement %s", id);
	return err_fix(err, "see 'packway-site advertisement list'");
}

/* Run a statement whose first parameter is the id, and which must change that row. */
static bool change(struct site *site, const char *id, enum site_statement statement,
		   const struct db_value *values, size_t count, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!checks_object_id(id, "an advertisement", err) || !site_begin(site, err) ||
	    !db_run(site->db, statement, values, count, err))
		return false;
	if (db_changed(site->db) == 0)
		return unknown(id, err);
	return site_commit_policy(site, err);
}

bool advertisement_set_state(struct site *site, const char *id, enum advertisement_state state,
			     struct err *err)
{
	return change(site, id, STMT_ADVERTISEMENT_SET_STOPPED,
		      DB_ARGS(db_text(id), db_int(state == ADVERTISEMENT_STOPPED)), err);
}

bool advertisement_remove(struct site *site, const char *id, struct err *err)
{
	return change(site, id, STMT_ADVERTISEMENT_REMOVE, DB_ARGS(db_text(id)), err);
}

bool advertisement_list(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_ADVERTISEMENT_LIST, DB_ARGS(db_null()), err);
}

bool advertisement_show(json_t **out, struct site *site, const char *id, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };

	if (!checks_object_id(id, "an advertisement", err))
		return false;
	rows = db_query(site->db, STMT_ADVERTISEMENT_LIST, DB_ARGS(db_text(id)));
	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err) && unknown(id, err);
	*out = db_rows_json(&rows);
	return true;
}
