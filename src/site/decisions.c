#include "site/decisions.h"

#include <inttypes.h>

#include "common/jsondoc.h"
#include "site/checks.h"

static bool package_existed(struct site *site, const char *package, struct err *err)
{
	int64_t existed = 1;

	if (package != NULL &&
	    !db_number(&existed, site->db, STMT_PACKAGE_EXISTED, DB_ARGS(db_text(package)), 0, err))
		return false;
	return existed || err_set(err, ERR_NOT_FOUND, "there is no package %s", package);
}

/* Nothing by then: say what there is. Returns false always. */
static bool say_none(struct site *site, const char *client, const struct decisions_question *q,
		     struct err *err)
{
	const char *about = q->package != NULL ? q->package : "a package";
	char at[CLOCK_TEXT_MAX], first[CLOCK_TEXT_MAX];
	int64_t first_s;

	if (!db_number(&first_s, site->db, STMT_DECISION_FIRST,
		       DB_ARGS(db_text(client), db_text(q->package)), 0, err))
		return false;
	if (first_s == 0 && !package_existed(site, q->package, err))
		return false;
	if (first_s == 0) {
		err_set(err, ERR_NOT_FOUND, "%s has told of no choice about %s yet", q->client,
			about);
		return err_fix(err,
			       "it tells when it fetches; what it would choose now: "
			       "packway-site what-if %s --client %s",
			       q->package != NULL ? q->package : "ID", q->client);
	}
	clock_print(at, q->at_s);
	clock_print(first, first_s);
	err_set(err, ERR_NOT_FOUND, "%s has told of no choice about %s made by %s", q->client,
		about, at);
	return err_fix(err, "the first on record is of %s: ask for that time or later", first);
}

static bool read_row(json_t **out, const struct db_rows *rows)
{
	json_auto_t *row = db_rows_json(rows);
	json_t *decision = json_object_get(row, "decision");

	if (!json_is_object(decision))
		return false;
	*out = json_incref(decision);
	return true;
}

bool decisions_find(json_t **out, struct site *site, const struct decisions_question *q,
		    struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };
	char client[CHECKS_CLIENT_SIZE];

	if ((q->package != NULL && !checks_object_id(q->package, "a package", err)) ||
	    !checks_known_client(client, site, q->client, err))
		return false;
	rows = db_query(site->db, STMT_DECISION_FIND,
			DB_ARGS(db_text(client), db_text(q->package), db_int(q->at_s)));
	while (db_rows_next(&rows))
		if (read_row(out, &rows))
			return true;
	return db_rows_finish(&rows, err) && say_none(site, client, q, err);
}
