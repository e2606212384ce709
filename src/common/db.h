/*
 * An SQLite database whose statements are all declared up front, in one table per program part.
 *
 *     db_open → db_begin → db_run / db_query … → db_commit → db_close
 *
 * Opened in WAL mode with FULL sync: what db_commit returned true for survives a power cut. Other
 * processes may hold the write lock for a moment; calls wait up to DB_BUSY_MS for it. The
 * connection is defensive: no schema tricks, no double-quoted texts, foreign keys enforced.
 *
 * Values go in by parameters only. Rows come out by column, or whole as JSON objects whose keys are
 * the columns' names; a name may end with a form: "x:flag" (0 and 1 become booleans), "x:time"
 * (seconds since 1970 become RFC 3339 text), "x:json" (text becomes the document in it).
 *
 * One connection per thread.
 */
#ifndef COMMON_DB_H
#define COMMON_DB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define DB_BUSY_MS 20000 /* how long a call waits for another process's transaction */

struct sqlite3;
struct sqlite3_stmt;
struct db;

/* What a database is: its statements by number, and the steps that made its present shape. */
struct db_spec {
	uint32_t application_id;       /* written into the file; another one is refused */
	const char *const *statements; /* SQL by number, prepared at first use */
	size_t statement_count;
	const char *const *migrations; /* step n leads from version n to n + 1 */
	size_t migration_count;
};

enum {
	DB_CREATE = 1,    /* make the file if it is not there */
	DB_READ_ONLY = 2, /* no migration either: an older database is ERR_DB */
};

/*
 * Open `path` and bring it to the newest version; a copy of an older database is kept beside it
 * first, as `path`.v<version>. `spec` must outlive the database. ERR_NOT_FOUND without DB_CREATE if
 * the file is absent; ERR_DB if it is no database of ours, damaged, or newer than this program.
 */
bool db_open(struct db **out, const char *path, const struct db_spec *spec, unsigned int flags,
	     struct err *err) MUST_USE;
void db_close(struct db *db);

static inline void db_scoped(struct db **db)
{
	db_close(*db);
}

/*
 * A write transaction; they do not nest. db_abandon takes back what was done since db_begin, and
 * does nothing after a commit or without a transaction. After a failed commit the transaction is
 * abandoned.
 */
bool db_begin(struct db *db, struct err *err) MUST_USE;
bool db_commit(struct db *db, struct err *err) MUST_USE;
void db_abandon(struct db *db);

/*
 * One state of the database for many questions, which then cost less than half each. It waits for
 * nobody, and nobody waits for it; ends with db_abandon. Nothing may be written in it.
 */
bool db_begin_reading(struct db *db, struct err *err) MUST_USE;

/* Abandon at the end of the scope: DB_UNDO struct db *undo = db; */
static inline void db_undo_scoped(struct db **db)
{
	if (*db != NULL)
		db_abandon(*db);
}
#define DB_UNDO __attribute__((cleanup(db_undo_scoped), unused))

/* One parameter. Texts and blobs are borrowed for the call; NULL text is NULL. */
struct db_value {
	enum { DB_NULL_VALUE, DB_INT_VALUE, DB_TEXT_VALUE, DB_BLOB_VALUE } type;
	int64_t number;
	struct span bytes;
};

static inline struct db_value db_null(void)
{
	return (struct db_value){ .type = DB_NULL_VALUE };
}

static inline struct db_value db_int(int64_t number)
{
	return (struct db_value){ .type = DB_INT_VALUE, .number = number };
}

static inline struct db_value db_text(const char *text)
{
	if (text == NULL)
		return db_null();
	return (struct db_value){ .type = DB_TEXT_VALUE, .bytes = span_of_text(text) };
}

static inline struct db_value db_blob(struct span bytes)
{
	return (struct db_value){ .type = DB_BLOB_VALUE, .bytes = bytes };
}

/* Values for ?1, ?2, …: db_run(db, STMT, DB_ARGS(db_text(name), db_int(3)), err). */
#define DB_ARGS(...)                              \
	(const struct db_value[]){ __VA_ARGS__ }, \
		COUNT_OF(((const struct db_value[]){ __VA_ARGS__ }))
#define DB_NO_ARGS NULL, 0

/*
 * Run a statement that yields no rows. A broken UNIQUE or PRIMARY KEY rule is ERR_EXISTS, a broken
 * foreign key ERR_IN_USE, a full disk ERR_DISK_FULL, anything else ERR_DB.
 */
bool db_run(struct db *db, size_t statement, const struct db_value *values, size_t count,
	    struct err *err) MUST_USE;

/* Rows changed by the last db_run, and the row id it made. */
int64_t db_changed(const struct db *db);
int64_t db_last_id(const struct db *db);

/*
 * The rows of a statement, one after another:
 *
 *     SCOPED(db_rows) struct db_rows rows = db_query(db, STMT, DB_ARGS(…));
 *     while (db_rows_next(&rows))
 *             … db_rows_text(&rows, 0) …
 *     if (!db_rows_finish(&rows, err)) …
 *
 * A statement has one set of rows open at a time (assert). Texts and blobs are borrowed until the
 * next db_rows_next.
 */
struct db_rows {
	struct db *db;
	struct sqlite3_stmt *stmt;
	size_t statement;
	int result;
};

struct db_rows db_query(struct db *db, size_t statement, const struct db_value *values,
			size_t count);
bool db_rows_next(struct db_rows *rows);
bool db_rows_finish(struct db_rows *rows, struct err *err) MUST_USE;
void db_rows_release(struct db_rows *rows);
SCOPED_RELEASE(db_rows);

int64_t db_rows_int(const struct db_rows *rows, int column);      /* 0 for NULL */
const char *db_rows_text(const struct db_rows *rows, int column); /* NULL for NULL */
struct span db_rows_blob(const struct db_rows *rows, int column);
bool db_rows_is_null(const struct db_rows *rows, int column);

/* The row as a JSON object by its columns' names; the caller owns it. */
json_t *db_rows_json(const struct db_rows *rows) MUST_USE;

/* All rows as an array of such objects; the caller owns it. */
bool db_list(json_t **out, struct db *db, size_t statement, const struct db_value *values,
	     size_t count, struct err *err) MUST_USE;

/* The first row's first column as a number; `fallback` where there is no row or it is NULL. */
bool db_number(int64_t *out, struct db *db, size_t statement, const struct db_value *values,
	       size_t count, int64_t fallback, struct err *err) MUST_USE;

/* The connection, for functions that work on one (membership); it stays the db's. */
struct sqlite3 *db_handle(struct db *db);

#endif
