#include "common/db.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "common/text.h"

struct db {
	sqlite3 *handle;
	const struct db_spec *spec;
	char *path;
	sqlite3_stmt **prepared; /* by statement number; NULL until first used */
	bool *is_open;           /* rows of it are being read */
	bool is_in_transaction;
};

static enum err_code code_of(int result)
{
	static const struct {
		int result;
		enum err_code code;
	} codes[] = {
		{ SQLITE_CONSTRAINT_UNIQUE, ERR_EXISTS },
		{ SQLITE_CONSTRAINT_PRIMARYKEY, ERR_EXISTS },
		{ SQLITE_CONSTRAINT_FOREIGNKEY, ERR_IN_USE },
		{ SQLITE_FULL, ERR_DISK_FULL },
		{ SQLITE_BUSY, ERR_LOCKED },
		{ SQLITE_BUSY_SNAPSHOT, ERR_LOCKED },
		{ SQLITE_BUSY_RECOVERY, ERR_LOCKED },
		{ SQLITE_READONLY, ERR_PERMISSION },
		{ SQLITE_READONLY_DIRECTORY, ERR_PERMISSION },
		{ SQLITE_READONLY_DBMOVED, ERR_PERMISSION },
	};

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (codes[i].result == result)
			return codes[i].code;
	return ERR_DB;
}

static bool fault(const struct db *db, struct err *err)
{
	return err_set(err, code_of(sqlite3_extended_errcode(db->handle)), "database %s: %s",
		       db->path, sqlite3_errmsg(db->handle));
}

static bool execute(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return fault(db, err);
}

static bool read_pragma(int64_t *out, struct db *db, const char *sql, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool done = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL) == SQLITE_OK &&
		    sqlite3_step(stmt) == SQLITE_ROW;

	if (done)
		*out = sqlite3_column_int64(stmt, 0);
	else
		fault(db, err);
	sqlite3_finalize(stmt);
	return done;
}

static bool configure(struct db *db, unsigned int flags, struct err *err)
{
	static const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },   { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },     { SQLITE_DBCONFIG_DQS_DDL, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 }, { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
	};

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, DB_BUSY_MS);
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (sqlite3_db_config(db->handle, options[i].option, options[i].value, NULL) !=
		    SQLITE_OK)
			return fault(db, err);
	if (flags & DB_READ_ONLY)
		return true;
	return execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", err);
}

/* A copy under its final name only once it is whole. */
static bool keep_copy(struct db *db, int64_t version, struct err *err)
{
	SCOPED_TEXT char *copy = alloc_printf("%s.v%" PRId64, db->path, version);
	SCOPED_TEXT char *temp = alloc_printf("%s.new", copy);
	sqlite3_stmt *stmt = NULL;
	bool done;

	(void)unlink(temp);
	done = sqlite3_prepare_v2(db->handle, "VACUUM INTO ?1", -1, &stmt, NULL) == SQLITE_OK &&
	       sqlite3_bind_text(stmt, 1, temp, -1, SQLITE_STATIC) == SQLITE_OK &&
	       sqlite3_step(stmt) == SQLITE_DONE;
	if (!done)
		fault(db, err);
	sqlite3_finalize(stmt);
	if (done && rename(temp, copy) != 0)
		done = err_sys(err, ERR_IO, errno, "file %s", copy);
	return done || err_what(err, "keeping a copy of the database before its migration");
}

static bool migrate_once(struct db *db, int64_t version, struct err *err)
{
	char pragma[64];

	if (version > 0 && !keep_copy(db, version, err))
		return false;
	if (!db_begin(db, err))
		return false;
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %" PRId64, version + 1);
	if (execute(db, db->spec->migrations[version], err) && execute(db, pragma, err) &&
	    db_commit(db, err))
		return true;
	db_abandon(db);
	return err_what(err, "bringing the database to version %" PRId64, version + 1);
}

static bool check_owner(struct db *db, struct err *err)
{
	int64_t id;

	if (!read_pragma(&id, db, "PRAGMA application_id", err))
		return false;
	if ((uint32_t)id != db->spec->application_id)
		return err_set(err, ERR_DB, "%s is a database of another program", db->path);
	return true;
}

static bool migrate(struct db *db, unsigned int flags, struct err *err)
{
	int64_t version, count = (int64_t)db->spec->migration_count;

	if (!read_pragma(&version, db, "PRAGMA user_version", err))
		return false;
	if (version > 0 && !check_owner(db, err))
		return false;
	if (version > count)
		return err_set(err, ERR_DB,
			       "%s has version %" PRId64 ", this program knows %" PRId64 " at most",
			       db->path, version, count);
	if (version < count && (flags & DB_READ_ONLY))
		return err_set(err, ERR_DB, "%s has version %" PRId64 " and needs version %" PRId64,
			       db->path, version, count);
	if (version == 0) {
		char pragma[64];

		snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %" PRIu32,
			 db->spec->application_id);
		if (!execute(db, pragma, err))
			return false;
	}
	for (; version < count; version++)
		if (!migrate_once(db, version, err))
			return false;
	return true;
}

/* Two processes that open an old database at once must not both migrate it. */
static bool migrate_alone(struct db *db, unsigned int flags, struct err *err)
{
	SCOPED_TEXT char *lock_path = NULL;
	SCOPED_FD int lock = -1;
	int64_t version;

	if (!read_pragma(&version, db, "PRAGMA user_version", err))
		return false;
	if (version == (int64_t)db->spec->migration_count)
		return check_owner(db, err);
	if (flags & DB_READ_ONLY)
		return migrate(db, flags, err);
	lock_path = alloc_printf("%s.lock", db->path);
	return path_lock(&lock, lock_path, DB_BUSY_MS, err) && migrate(db, flags, err);
}

bool db_open(struct db **out, const char *path, const struct db_spec *spec, unsigned int flags,
	     struct err *err)
{
	SCOPED(db) struct db *db = alloc_zeroed(1, sizeof(*db));
	int mode = SQLITE_OPEN_NOMUTEX;

	db->spec = spec;
	db->path = alloc_text(path);
	db->prepared = alloc_zeroed(spec->statement_count, sizeof(sqlite3_stmt *));
	db->is_open = alloc_zeroed(spec->statement_count, sizeof(bool));
	if (!(flags & DB_CREATE) && !path_exists(path))
		return err_set(err, ERR_NOT_FOUND, "there is no database %s", path);
	mode |= flags & DB_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	mode |= flags & DB_CREATE ? SQLITE_OPEN_CREATE : 0;
	if (sqlite3_open_v2(path, &db->handle, mode, NULL) != SQLITE_OK)
		return fault(db, err);
	if (!configure(db, flags, err) || !migrate_alone(db, flags, err))
		return false;
	*out = db;
	db = NULL;
	return true;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->spec->statement_count; i++)
		sqlite3_finalize(db->prepared[i]);
	sqlite3_close(db->handle);
	free(db->prepared);
	free(db->is_open);
	free(db->path);
	free(db);
}

struct sqlite3 *db_handle(struct db *db)
{
	return db->handle;
}

static bool begin(struct db *db, const char *sql, struct err *err)
{
	assert(!db->is_in_transaction && "transactions do not nest");
	if (!execute(db, sql, err))
		return false;
	db->is_in_transaction = true;
	return true;
}

bool db_begin(struct db *db, struct err *err)
{
	return begin(db, "BEGIN IMMEDIATE", err);
}

bool db_begin_reading(struct db *db, struct err *err)
{
	return begin(db, "BEGIN DEFERRED", err);
}

bool db_commit(struct db *db, struct err *err)
{
	assert(db->is_in_transaction);
	if (!execute(db, "COMMIT", err)) {
		db_abandon(db);
		return false;
	}
	db->is_in_transaction = false;
	return true;
}

void db_abandon(struct db *db)
{
	if (!db->is_in_transaction)
		return;
	/* Some faults have rolled back already; then there is nothing to take back. */
	(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	db->is_in_transaction = false;
}

static int prepare(struct db *db, size_t statement)
{
	assert(statement < db->spec->statement_count);
	assert(!db->is_open[statement] && "its rows are still being read");
	if (db->prepared[statement] != NULL)
		return SQLITE_OK;
	return sqlite3_prepare_v3(db->handle, db->spec->statements[statement], -1,
				  SQLITE_PREPARE_PERSISTENT, &db->prepared[statement], NULL);
}

static int bind_one(sqlite3_stmt *stmt, int position, const struct db_value *value)
{
	/* A NULL pointer would bind NULL: an empty text or blob needs an address of its own. */
	const char *data = value->bytes.size > 0 ? (const char *)value->bytes.data : "";

	switch (value->type) {
	case DB_NULL_VALUE:
		return sqlite3_bind_null(stmt, position);
	case DB_INT_VALUE:
		return sqlite3_bind_int64(stmt, position, value->number);
	case DB_TEXT_VALUE:
		return sqlite3_bind_text64(stmt, position, data, value->bytes.size,
					   SQLITE_TRANSIENT, SQLITE_UTF8);
	case DB_BLOB_VALUE:
		return sqlite3_bind_blob64(stmt, position, data, value->bytes.size,
					   SQLITE_TRANSIENT);
	}
	return SQLITE_MISUSE;
}

struct db_rows db_query(struct db *db, size_t statement, const struct db_value *values,
			size_t count)
{
	struct db_rows rows = { .db = db, .statement = statement };
	sqlite3_stmt *stmt;

	rows.result = prepare(db, statement);
	if (rows.result != SQLITE_OK)
		return rows;
	stmt = db->prepared[statement];
	assert((size_t)sqlite3_bind_parameter_count(stmt) == count && "one value per parameter");
	for (size_t i = 0; i < count && rows.result == SQLITE_OK; i++)
		rows.result = bind_one(stmt, (int)i + 1, &values[i]);
	rows.stmt = stmt;
	db->is_open[statement] = true;
	return rows;
}

bool db_rows_next(struct db_rows *rows)
{
	if (rows->result != SQLITE_OK && rows->result != SQLITE_ROW)
		return false;
	rows->result = sqlite3_step(rows->stmt);
	return rows->result == SQLITE_ROW;
}

bool db_rows_finish(struct db_rows *rows, struct err *err)
{
	bool done = rows->result == SQLITE_DONE || rows->result == SQLITE_ROW;

	if (!done)
		fault(rows->db, err);
	db_rows_release(rows);
	return done;
}

void db_rows_release(struct db_rows *rows)
{
	if (rows->stmt == NULL)
		return;
	sqlite3_reset(rows->stmt);
	sqlite3_clear_bindings(rows->stmt);
	rows->db->is_open[rows->statement] = false;
	rows->stmt = NULL;
}

bool db_run(struct db *db, size_t statement, const struct db_value *values, size_t count,
	    struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(db, statement, values, count);

	while (db_rows_next(&rows))
		;
	return db_rows_finish(&rows, err);
}

int64_t db_changed(const struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int64_t db_rows_int(const struct db_rows *rows, int column)
{
	return sqlite3_column_int64(rows->stmt, column);
}

const char *db_rows_text(const struct db_rows *rows, int column)
{
	return (const char *)sqlite3_column_text(rows->stmt, column);
}

struct span db_rows_blob(const struct db_rows *rows, int column)
{
	const void *data = sqlite3_column_blob(rows->stmt, column);

	return span_of(data, (size_t)sqlite3_column_bytes(rows->stmt, column));
}

bool db_rows_is_null(const struct db_rows *rows, int column)
{
	return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

static json_t *plain_value(sqlite3_stmt *stmt, int column)
{
	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(stmt, column));
	case SQLITE_FLOAT:
		return json_real(sqlite3_column_double(stmt, column));
	case SQLITE_TEXT:
		return jsondoc_new_text((const char *)sqlite3_column_text(stmt, column));
	case SQLITE_BLOB: {
		int size = sqlite3_column_bytes(stmt, column);
		char *hex = alloc_zeroed((size_t)size * 2 + 1, 1);
		json_t *value;

		text_hex(hex, sqlite3_column_blob(stmt, column), (size_t)size);
		value = json_string(hex);
		free(hex);
		return value;
	}
	default:
		return json_null();
	}
}

static json_t *flag_value(sqlite3_stmt *stmt, int column)
{
	return json_boolean(sqlite3_column_int64(stmt, column) != 0);
}

static json_t *time_value(sqlite3_stmt *stmt, int column)
{
	char text[CLOCK_TEXT_MAX];

	clock_print(text, sqlite3_column_int64(stmt, column));
	return json_string(text);
}

static json_t *json_value(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	struct err err = { 0 };
	json_t *doc;

	return jsondoc_read(&doc, span_of_text(text), &err) ? doc : jsondoc_new_text(text);
}

static const struct {
	const char *name;
	json_t *(*value)(sqlite3_stmt *stmt, int column);
} forms[] = {
	{ "flag", flag_value },
	{ "time", time_value },
	{ "json", json_value },
};

static json_t *formed_value(sqlite3_stmt *stmt, int column, const char *form)
{
	if (form == NULL || sqlite3_column_type(stmt, column) == SQLITE_NULL)
		return plain_value(stmt, column);
	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (strcmp(forms[i].name, form) == 0)
			return forms[i].value(stmt, column);
	return plain_value(stmt, column);
}

json_t *db_rows_json(const struct db_rows *rows)
{
	json_t *object = json_object();

	for (int i = 0; i < sqlite3_column_count(rows->stmt); i++) {
		SCOPED_TEXT char *key = alloc_text(sqlite3_column_name(rows->stmt, i));
		char *colon = strchr(key, ':');

		if (colon != NULL)
			*colon = '\0';
		jsondoc_set(object, key,
			    formed_value(rows->stmt, i, colon != NULL ? colon + 1 : NULL));
	}
	return object;
}

bool db_list(json_t **out, struct db *db, size_t statement, const struct db_value *values,
	     size_t count, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(db, statement, values, count);
	json_t *list = json_array();

	while (db_rows_next(&rows))
		json_array_append_new(list, db_rows_json(&rows));
	if (!db_rows_finish(&rows, err)) {
		json_decref(list);
		return false;
	}
	*out = list;
	return true;
}

bool db_number(int64_t *out, struct db *db, size_t statement, const struct db_value *values,
	       size_t count, int64_t fallback, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(db, statement, values, count);

	*out = fallback;
	if (db_rows_next(&rows) && !db_rows_is_null(&rows, 0))
		*out = db_rows_int(&rows, 0);
	return db_rows_finish(&rows, err);
}
