#include "site/client.h"

#include <stdio.h>
#include <string.h>

#include "common/jsondoc.h"
#include "site/checks.h"
#include "site/inventory.h"

bool client_list(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_CLIENT_LIST, DB_ARGS(db_null()), err);
}

static bool unknown(const char *typed, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "there is no client \"%s\"", typed);
	return err_fix(err, "see 'packway-site client list'");
}

/* Parts of `show`: a member of the object per statement over the client's id. */
static const struct {
	const char *key;
	enum site_statement statement;
} parts[] = {
	{ "os", STMT_CLIENT_OS },           { "hardware", STMT_CLIENT_HARDWARE },
	{ "network", STMT_CLIENT_NETWORK }, { "disk", STMT_CLIENT_DISK },
	{ "streams", STMT_CLIENT_STREAMS },
};

static bool add_parts(json_t *object, struct site *site, const char *id, struct err *err)
{
	int64_t packages;

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		json_t *rows;

		if (!db_list(&rows, site->db, parts[i].statement, DB_ARGS(db_text(id)), err))
			return false;
		jsondoc_set(object, parts[i].key, rows);
	}
	if (!db_number(&packages, site->db, STMT_CLIENT_SOFTWARE_COUNT, DB_ARGS(db_text(id)), 0,
		       err))
		return false;
	jsondoc_set_int(object, "software", packages);
	return true;
}

bool client_show(json_t **out, struct site *site, const char *typed, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };
	char id[CHECKS_CLIENT_SIZE];
	json_auto_t *object = NULL;

	if (!checks_client(id, site, typed, err))
		return false;
	rows = db_query(site->db, STMT_CLIENT_LIST, DB_ARGS(db_text(id)));
	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err) && unknown(typed, err);
	object = db_rows_json(&rows);
	if (!add_parts(object, site, id, err))
		return false;
	*out = json_incref(object);
	return true;
}

void client_shard(char *dst, const char *client_id)
{
	snprintf(dst, CLIENT_SHARD_SIZE, "%.4s", client_id);
}

bool client_touch_receipt(struct site *site, const char *client_id, struct err *err)
{
	char shard[CLIENT_SHARD_SIZE];

	client_shard(shard, client_id);
	return db_run(site->db, STMT_RECEIPT_TOUCH, DB_ARGS(db_text(shard)), err);
}

static bool set_state(struct site *site, const char *typed, const char *id, const char *state,
		      struct err *err)
{
	if (!db_run(site->db, STMT_CLIENT_SET_STATE, DB_ARGS(db_text(id), db_text(state)), err))
		return false;
	if (db_changed(site->db) == 0)
		return unknown(typed, err);
	return client_touch_receipt(site, id, err);
}

bool client_approve(struct site *site, const char *typed, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	char id[CHECKS_CLIENT_SIZE];

	return checks_client(id, site, typed, err) && site_begin(site, err) &&
	       set_state(site, typed, id, "enrolled", err) &&
	       db_run(site->db, STMT_CLIENT_ROW_FROM_ENROLMENT,
		      DB_ARGS(db_text(id), db_text(site->code)), err) &&
	       site_commit(site, err);
}

bool client_remove(struct site *site, const char *typed, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	char id[CHECKS_CLIENT_SIZE];

	return checks_client(id, site, typed, err) && site_begin(site, err) &&
	       set_state(site, typed, id, "removed", err) && inventory_drop(site, id, err) &&
	       site_commit(site, err);
}
