#include "site/report.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/message.h"
#include "common/path.h"
#include "common/text.h"
#include "policy/inventory_schema.h"
#include "site/checks.h"
#include "site/collection.h"

/* Which state a client's advertisement is in after a message: docs/ARCHITECTURE.md 6. */
static const struct {
	int64_t id;
	const char *state;
} states[] = {
	{ MESSAGE_RECEIVED, "received" },       { MESSAGE_NOT_STARTED, "failed" },
	{ MESSAGE_STARTED, "running" },         { MESSAGE_FAILED, "failed" },
	{ MESSAGE_SUCCEEDED, "succeeded" },     { MESSAGE_REJECTED, "rejected" },
	{ MESSAGE_EXPIRED, "expired" },         { MESSAGE_WAITING, "waiting" },
	{ MESSAGE_INTERRUPTED, "interrupted" }, { MESSAGE_STOPPED, "stopped" },
};

/*
 * The columns of `status`, in their order. A client is in one of them at a time, but for the first,
 * which counts, as SMS does, everybody who has got the advertisement, whatever became of it.
 */
static const char *const columns[] = {
	"received", "waiting", "running",     "succeeded", "failed",
	"rejected", "expired", "interrupted", "stopped",
};

const char *report_state_of(int64_t message_id)
{
	for (size_t i = 0; i < COUNT_OF(states); i++)
		if (states[i].id == message_id)
			return states[i].state;
	return NULL;
}

static bool add_counts(json_t *row, struct site *site, const char *id, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_REPORT_STATES, DB_ARGS(db_text(id)));

	int64_t received = 0;

	for (size_t i = 0; i < COUNT_OF(columns); i++)
		jsondoc_set_int(row, columns[i], 0);
	while (db_rows_next(&rows)) {
		jsondoc_set_int(row, db_rows_text(&rows, 0), db_rows_int(&rows, 1));
		received += db_rows_int(&rows, 1);
	}
	jsondoc_set_int(row, columns[0], received);
	return db_rows_finish(&rows, err);
}

static bool add_failures(json_t *row, struct site *site, const char *id, struct err *err)
{
	json_t *failures;

	if (!db_list(&failures, site->db, STMT_REPORT_FAILURES, DB_ARGS(db_text(id)), err))
		return false;
	jsondoc_set(row, "failures", failures);
	return true;
}

/* A collection that many advertisements name is counted once: `sizes` remembers. */
static bool add_targeted(json_t *row, struct site *site, json_t *sizes, struct err *err)
{
	const char *collection = jsondoc_text(row, "collection");
	int64_t targeted = jsondoc_int(sizes, collection, -1);

	if (targeted < 0 && !collection_count(&targeted, site, collection, err))
		return false;
	jsondoc_set_int(sizes, collection, targeted);
	jsondoc_set_int(row, "targeted", targeted);
	return true;
}

/* One advertisement's row, appended unless the scope leaves it out. */
static bool add_advertisement(json_t *list, struct site *site, const struct db_rows *rows,
			      enum report_scope scope, json_t *sizes, struct err *err)
{
	SCOPED_TEXT char *id = alloc_text(db_rows_text(rows, 0));
	json_auto_t *row = json_object();

	jsondoc_set_text(row, "advertisement", id);
	jsondoc_set_text(row, "package", db_rows_text(rows, 1));
	jsondoc_set_text(row, "program", db_rows_text(rows, 2));
	jsondoc_set_text(row, "collection", db_rows_text(rows, 3));
	jsondoc_set_text(row, "state", db_rows_int(rows, 4) ? "stopped" : "active");
	if (!add_counts(row, site, id, err))
		return false;
	if (scope == REPORT_FAILED && jsondoc_int(row, "failed", 0) == 0)
		return true;
	if (scope == REPORT_FAILED && !add_failures(row, site, id, err))
		return false;
	if (!add_targeted(row, site, sizes, err))
		return false;
	json_array_append(list, row);
	return true;
}

bool report_status(json_t **out, struct site *site, const char *id, enum report_scope scope,
		   struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = { 0 };
	json_auto_t *list = json_array();
	json_auto_t *sizes = json_object();
	int64_t known = 1;

	if (id != NULL && !checks_object_id(id, "a package or advertisement", err))
		return false;
	if (id != NULL &&
	    !db_number(&known, site->db, STMT_REPORT_ID_IS_KNOWN, DB_ARGS(db_text(id)), 0, err))
		return false;
	if (!known)
		return err_set(err, ERR_NOT_FOUND, "there is no package or advertisement %s", id);
	rows = db_query(site->db, STMT_REPORT_ADVERTISEMENTS, DB_ARGS(db_text(id)));
	while (db_rows_next(&rows))
		if (!add_advertisement(list, site, &rows, scope, sizes, err))
			return false;
	if (!db_rows_finish(&rows, err))
		return false;
	*out = json_incref(list);
	return true;
}

/* Where the timeline stands: a number that is not the next one is a gap. */
struct cursor {
	const char *client;
	const char *stream;
	int64_t sequence;
};

static void append_gap(json_t *list, const struct cursor *at, int64_t next)
{
	int64_t missing = next - at->sequence - 1;
	SCOPED_TEXT char *text = alloc_printf("%" PRId64 " records are missing here", missing);
	json_t *row = json_object();

	jsondoc_set_text(row, "client", at->client);
	jsondoc_set_text(row, "stream", at->stream);
	jsondoc_set_int(row, "sequence", at->sequence + 1);
	jsondoc_set_int(row, "gap", missing);
	jsondoc_set_text(row, "text", text);
	jsondoc_set_int(row, "id", 0);
	json_array_append_new(list, row);
}

static void append_row(json_t *list, struct cursor *at, json_t *row, bool marks_gaps)
{
	const char *client = jsondoc_text(row, "client"), *stream = jsondoc_text(row, "stream");
	int64_t sequence = jsondoc_int(row, "sequence", 0);
	bool goes_on = at->client != NULL && strcmp(at->client, client) == 0 &&
		       strcmp(at->stream, stream) == 0;

	if (!goes_on)
		*at = (struct cursor){ .client = client, .stream = stream };
	if (marks_gaps && sequence > at->sequence + 1)
		append_gap(list, at, sequence);
	at->client = client;
	at->stream = stream;
	at->sequence = sequence;
	/* Inventory has a number too, but is no event. */
	if (!json_is_null(json_object_get(row, "id")) ||
	    !json_is_null(json_object_get(row, "refused")))
		json_array_append(list, row);
}

static void append_all(json_t *list, const json_t *rows, bool marks_gaps)
{
	struct cursor at = { 0 };
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *refused = jsondoc_text(row, "refused");

		if (refused != NULL)
			jsondoc_set_text(row, "text", refused);
		if (json_is_null(json_object_get(row, "id")) && refused != NULL)
			jsondoc_set_int(row, "id", 0);
		append_row(list, &at, row, marks_gaps);
	}
}

bool report_messages(json_t **out, struct site *site, const char *client, const char *advertisement,
		     struct err *err)
{
	char id[CHECKS_CLIENT_SIZE];
	json_auto_t *rows = NULL;

	if (client != NULL && !checks_client(id, site, client, err))
		return false;
	if (advertisement != NULL && !checks_object_id(advertisement, "an advertisement", err))
		return false;
	if (!db_list(&rows, site->db, STMT_REPORT_MESSAGES,
		     DB_ARGS(db_text(client != NULL ? id : NULL), db_text(advertisement)), err))
		return false;
	*out = json_array();
	append_all(*out, rows, advertisement == NULL);
	return true;
}

bool report_alerts(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_REPORT_ALERTS, DB_NO_ARGS, err);
}

static bool is_readable(const char *table)
{
	return inventory_schema_find(table) != NULL || strcmp(table, "status") == 0 ||
	       strcmp(table, "message") == 0;
}

/* count(*) over one of our views asks for the tables behind it, with no column and no view. */
static bool reads_nothing(const char *column)
{
	return column == NULL || column[0] == '\0';
}

/* What stands behind a view may be read through the view only, whose name comes last. */
static int authorize(void *ctx UNUSED, int action, const char *table, const char *column,
		     const char *database UNUSED, const char *view)
{
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_READ:
		return is_readable(table) || (view != NULL && is_readable(view)) ||
				       reads_nothing(column)
			       ? SQLITE_OK
			       : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

struct budget {
	int64_t steps_left;
};

#define STEPS_PER_CALL 100000

static int spend(void *ctx)
{
	struct budget *b = ctx;

	b->steps_left -= STEPS_PER_CALL;
	return b->steps_left < 0;
}

static json_t *column_value(sqlite3_stmt *stmt, int column)
{
	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(stmt, column));
	case SQLITE_FLOAT:
		return json_real(sqlite3_column_double(stmt, column));
	case SQLITE_NULL:
		return json_null();
	default:
		return jsondoc_new_text((const char *)sqlite3_column_text(stmt, column));
	}
}

static json_t *row_object(sqlite3_stmt *stmt)
{
	json_t *row = json_object();

	for (int i = 0; i < sqlite3_column_count(stmt); i++)
		jsondoc_set(row, sqlite3_column_name(stmt, i), column_value(stmt, i));
	return row;
}

static bool query_fault(sqlite3 *handle, struct err *err)
{
	err_set(err, ERR_QUERY, "the query failed: %s", sqlite3_errmsg(handle));
	return err_fix(err, "use one SELECT over client, os, hardware, network, disk, software, "
			    "status and message");
}

static bool run_query(json_t *rows, sqlite3 *handle, const char *sql, struct err *err)
{
	struct budget budget = { .steps_left = REPORT_QUERY_STEPS_MAX };
	sqlite3_stmt *stmt = NULL;
	const char *tail = NULL;
	bool done;
	int result;

	sqlite3_set_authorizer(handle, authorize, NULL);
	sqlite3_progress_handler(handle, STEPS_PER_CALL, spend, &budget);
	if (sqlite3_prepare_v2(handle, sql, -1, &stmt, &tail) != SQLITE_OK)
		return query_fault(handle, err);
	if (stmt == NULL || tail[strspn(tail, " \t\r\n;")] != '\0' ||
	    !sqlite3_stmt_readonly(stmt)) {
		sqlite3_finalize(stmt);
		return err_set(err, ERR_QUERY, "the query is not one SELECT");
	}
	while ((result = sqlite3_step(stmt)) == SQLITE_ROW &&
	       json_array_size(rows) < REPORT_QUERY_ROWS_MAX)
		json_array_append_new(rows, row_object(stmt));
	done = result == SQLITE_DONE || result == SQLITE_ROW;
	if (!done)
		query_fault(handle, err);
	sqlite3_finalize(stmt);
	return done;
}

bool report_query(json_t **out, struct site *site, const char *sql, struct err *err)
{
	SCOPED_TEXT char *path = site_path(site, "site.db");
	json_auto_t *rows = json_array();
	sqlite3 *handle = NULL;
	bool done;

	/* A connection of its own: what the query may do is decided for the connection. */
	if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		err_set(err, ERR_DB, "database %s: %s", path, sqlite3_errmsg(handle));
		sqlite3_close(handle);
		return false;
	}
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_busy_timeout(handle, DB_BUSY_MS);
	done = run_query(rows, handle, sql, err);
	sqlite3_close(handle);
	if (done)
		*out = json_incref(rows);
	return done;
}
