#include "site/checks.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/text.h"

bool checks_unused(struct site *site, enum site_statement users, const char *kind, const char *name,
		   struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(site->db, users, DB_ARGS(db_text(name)));
	SCOPED(buf) struct buf list = { 0 };

	while (db_rows_next(&rows))
		buf_printf(&list, "%s%s", list.size > 0 ? ", " : "", db_rows_text(&rows, 0));
	if (!db_rows_finish(&rows, err))
		return false;
	if (list.size == 0)
		return true;
	return err_set(err, ERR_IN_USE, "%s \"%s\" is used by %s", kind, name, buf_text(&list));
}

bool checks_object_id(const char *id, const char *kind, struct err *err)
{
	if (text_is_object_id(id))
		return true;
	return err_set(err, ERR_USAGE, "\"%s\" is not the id of %s, such as LON00001", id, kind);
}

bool checks_client(char *dst, struct site *site, const char *typed, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_CLIENT_BY_NAME, DB_ARGS(db_text(typed)));
	int found = 0;

	while (db_rows_next(&rows)) {
		snprintf(dst, CHECKS_CLIENT_SIZE, "%s", db_rows_text(&rows, 0));
		found++;
	}
	if (!db_rows_finish(&rows, err))
		return false;
	if (found == 1)
		return true;
	if (found > 1) {
		err_set(err, ERR_USAGE, "several clients are named \"%s\"", typed);
		return err_fix(err, "give the client's id: packway-site client list");
	}
	if (!text_is_client_id(typed))
		return err_set(err, ERR_NOT_FOUND, "there is no client \"%s\"", typed);
	snprintf(dst, CHECKS_CLIENT_SIZE, "%s", typed);
	return true;
}

bool checks_known_client(char *dst, struct site *site, const char *typed, struct err *err)
{
	int64_t exists;

	if (!checks_client(dst, site, typed, err) ||
	    !db_number(&exists, site->db, STMT_CLIENT_EXISTS, DB_ARGS(db_text(dst)), 0, err))
		return false;
	if (exists)
		return true;
	err_set(err, ERR_NOT_FOUND, "there is no client \"%s\"", typed);
	return err_fix(err, "see 'packway-site client list'");
}
