/* The database frame: migrations, transactions, values, faults. */
#include "common/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "support/testing.h"

enum { ADD, LIST, BROKEN, STATEMENTS_ };

static const char *const statements[] = {
	[ADD] = "INSERT INTO t VALUES(?1, ?2)",
	[LIST] = "SELECT k, v AS \"v:time\" FROM t ORDER BY k",
	[BROKEN] = "SELECT * FROM nowhere",
};

static const char *const migrations[] = {
	"CREATE TABLE t(k TEXT PRIMARY KEY, v INTEGER)",
	"INSERT INTO t VALUES('migrated', 0)",
};

static struct db_spec spec_of(size_t migration_count)
{
	return (struct db_spec){
		.application_id = 0x1234,
		.statements = statements,
		.statement_count = STATEMENTS_,
		.migrations = migrations,
		.migration_count = migration_count,
	};
}

static int make_dir(void **state)
{
	char *dir = alloc_text("/tmp/test_db.XXXXXX");

	*state = mkdtemp(dir);
	return 0;
}

static int remove_dir(void **state)
{
	struct err err;

	path_remove_tree(*state, &err);
	free(*state);
	return 0;
}

static int64_t rows_of(struct db *db)
{
	json_auto_t *rows = NULL;
	struct err err = { 0 };

	assert_done(db_list(&rows, db, LIST, DB_NO_ARGS, &err), &err);
	return (int64_t)json_array_size(rows);
}

static void a_copy_is_kept_before_a_migration(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "x.db");
	SCOPED_TEXT char *copy = path_join(*state, "x.db.v1");
	struct db_spec old = spec_of(1), new = spec_of(2);
	struct db *db;
	struct err err = { 0 };

	assert_done(db_open(&db, path, &old, DB_CREATE, &err), &err);
	assert_int_equal(rows_of(db), 0);
	db_close(db);
	assert_false(path_exists(copy));
	assert_done(db_open(&db, path, &new, 0, &err), &err);
	assert_int_equal(rows_of(db), 1);
	db_close(db);
	assert_true(path_exists(copy));
	/* A program of yesterday must not write into the database of today. */
	assert_false(db_open(&db, path, &old, 0, &err));
	assert_int_equal(err.code, ERR_DB);
}

static void what_was_abandoned_is_gone(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "x.db");
	struct db_spec spec = spec_of(1);
	SCOPED(db) struct db *db = NULL;
	struct err err = { 0 };

	assert_done(db_open(&db, path, &spec, DB_CREATE, &err), &err);
	assert_done(db_begin(db, &err), &err);
	assert_done(db_run(db, ADD, DB_ARGS(db_text("a"), db_int(0)), &err), &err);
	db_abandon(db);
	assert_int_equal(rows_of(db), 0);
	assert_done(db_begin(db, &err), &err);
	assert_done(db_run(db, ADD, DB_ARGS(db_text("a"), db_null()), &err), &err);
	assert_done(db_commit(db, &err), &err);
	db_abandon(db);
	assert_int_equal(rows_of(db), 1);
}

static void values_keep_their_form(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "x.db");
	struct db_spec spec = spec_of(1);
	SCOPED(db) struct db *db = NULL;
	json_auto_t *rows = NULL;
	struct err err = { 0 };

	assert_done(db_open(&db, path, &spec, DB_CREATE, &err), &err);
	assert_done(db_run(db, ADD, DB_ARGS(db_text("'; DROP TABLE t; --"), db_int(60)), &err),
		    &err);
	assert_done(db_list(&rows, db, LIST, DB_NO_ARGS, &err), &err);
	assert_string_equal(jsondoc_text(json_array_get(rows, 0), "k"), "'; DROP TABLE t; --");
	assert_string_equal(jsondoc_text(json_array_get(rows, 0), "v"), "1970-01-01T00:01:00Z");
}

static void faults_are_told_apart(void **state)
{
	SCOPED_TEXT char *path = path_join(*state, "x.db");
	SCOPED_TEXT char *absent = path_join(*state, "y.db");
	struct db_spec spec = spec_of(1), other = spec_of(1);
	SCOPED(db) struct db *db = NULL;
	struct db *none = NULL;
	struct err err = { 0 };

	assert_false(db_open(&none, absent, &spec, 0, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_done(db_open(&db, path, &spec, DB_CREATE, &err), &err);
	assert_done(db_run(db, ADD, DB_ARGS(db_text("a"), db_int(1)), &err), &err);
	assert_false(db_run(db, ADD, DB_ARGS(db_text("a"), db_int(1)), &err));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_false(db_run(db, BROKEN, DB_NO_ARGS, &err));
	assert_int_equal(err.code, ERR_DB);
	other.application_id = 0x4321;
	assert_false(db_open(&none, path, &other, 0, &err));
	assert_int_equal(err.code, ERR_DB);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
TESTING_MAIN(CASE(a_copy_is_kept_before_a_migration), CASE(what_was_abandoned_is_gone),
	     CASE(values_keep_their_form), CASE(faults_are_told_apart))
