#include "policy/membership.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/text.h"
#include "policy/inventory_schema.h"

#define STEPS_PER_CALL 1000
#define VALUE_MAX      65536 /* bytes of one text or row that a query makes */

struct membership {
	sqlite3 *db;
	char client[33];
	unsigned int steps; /* progress calls of the query under way */
	int64_t memory;     /* bytes that SQLite held when the query began */
	bool guarded;       /* the authorizer refuses what a query may not do */
	char refusal[MEMBERSHIP_REASON_MAX];
};

/* Functions whose value depends on nothing but their arguments, and the aggregates. */
static const char *const functions[] = {
	"abs",    "avg",    "coalesce", "count",  "glob",      "group_concat", "hex",
	"ifnull", "iif",    "instr",    "length", "like",      "lower",        "ltrim",
	"max",    "min",    "nullif",   "printf", "format",    "quote",        "replace",
	"round",  "rtrim",  "sign",     "substr", "substring", "sum",          "total",
	"trim",   "typeof", "unicode",  "upper",  "char",
};

static bool is_listed_function(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(functions); i++)
		if (text_equal_nocase(functions[i], name))
			return true;
	return false;
}

static int refuse(struct membership *m, const char *what, const char *name)
{
	char safe[64];

	text_escape_line(safe, sizeof(safe), name != NULL ? name : "");
	snprintf(m->refusal, sizeof(m->refusal), "%s%s%s", what, name != NULL ? " " : "", safe);
	return SQLITE_DENY;
}

static int authorize(void *ctx, int action, const char *a, const char *b,
		     const char *database UNUSED, const char *trigger UNUSED)
{
	struct membership *m = ctx;

	if (!m->guarded)
		return SQLITE_OK;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_READ:
		return inventory_schema_find(a) != NULL
			       ? SQLITE_OK
			       : refuse(m, "it reads what is no inventory table:", a);
	case SQLITE_FUNCTION:
		return is_listed_function(b)
			       ? SQLITE_OK
			       : refuse(m, "it calls a function that is not allowed:", b);
	default:
		return refuse(m, "it does something other than reading inventory", NULL);
	}
}

/*
 * Called every STEPS_PER_CALL instructions, in which a query can pile up no more than some hundred
 * values. The count of memory is the whole process's: others who use SQLite at the same time make
 * the bound tighter, never wider.
 */
static int watch_query(void *ctx)
{
	struct membership *m = ctx;

	if (!m->guarded)
		return 0;
	if (sqlite3_memory_used() - m->memory > MEMBERSHIP_MEMORY_MAX)
		return refuse(m, "it needs too much memory", NULL);
	if (++m->steps > MEMBERSHIP_STEPS_MAX / STEPS_PER_CALL)
		return refuse(m, "it takes too long", NULL);
	return 0;
}

static bool db_fault(struct membership *m, const char *what, struct err *err)
{
	return err_set(err, ERR_DB, "%s: %s", what, sqlite3_errmsg(m->db));
}

static bool create_table(struct membership *m, const struct inventory_schema_table *t,
			 struct err *err)
{
	SCOPED(buf) struct buf sql = { 0 };

	buf_printf(&sql, "CREATE TABLE \"%s\" (client_id TEXT NOT NULL", t->name);
	for (const struct inventory_schema_column *c = t->columns; c->name != NULL; c++)
		buf_printf(&sql, ", \"%s\" %s", c->name, c->is_number ? "INTEGER" : "TEXT");
	buf_put_text(&sql, ")");
	return sqlite3_exec(m->db, buf_text(&sql), NULL, NULL, NULL) == SQLITE_OK ||
	       db_fault(m, "inventory table", err);
}

static void set_limits(sqlite3 *db)
{
	static const struct {
		int limit, value;
	} limits[] = {
		{ SQLITE_LIMIT_LENGTH, VALUE_MAX },
		{ SQLITE_LIMIT_SQL_LENGTH, MEMBERSHIP_QUERY_MAX },
		{ SQLITE_LIMIT_COLUMN, 64 },
		{ SQLITE_LIMIT_EXPR_DEPTH, 100 },
		{ SQLITE_LIMIT_COMPOUND_SELECT, 20 },
		{ SQLITE_LIMIT_VDBE_OP, 25000 },
		{ SQLITE_LIMIT_FUNCTION_ARG, 16 },
		{ SQLITE_LIMIT_ATTACHED, 0 },
		{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200 },
		{ SQLITE_LIMIT_VARIABLE_NUMBER, 16 },
		{ SQLITE_LIMIT_TRIGGER_DEPTH, 0 },
		{ SQLITE_LIMIT_WORKER_THREADS, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(limits); i++)
		sqlite3_limit(db, limits[i].limit, limits[i].value);
	/* Sorting would go to a file otherwise, past every bound on memory. */
	sqlite3_exec(db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
}

bool membership_new(struct membership **out, const char *client_id, struct err *err)
{
	SCOPED(membership) struct membership *m = alloc_zeroed(1, sizeof(*m));

	if (!text_is_client_id(client_id))
		return err_set(err, ERR_FORMAT, "\"%s\" is no client id", client_id);
	snprintf(m->client, sizeof(m->client), "%s", client_id);
	if (sqlite3_open_v2(":memory:", &m->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL) !=
	    SQLITE_OK)
		return db_fault(m, "inventory in memory", err);
	sqlite3_set_authorizer(m->db, authorize, m);
	sqlite3_progress_handler(m->db, STEPS_PER_CALL, watch_query, m);
	for (const struct inventory_schema_table *t = inventory_schema_tables; t->name != NULL; t++)
		if (!create_table(m, t, err))
			return false;
	set_limits(m->db);
	*out = m;
	m = NULL;
	return true;
}

void membership_free(struct membership *m)
{
	if (m == NULL)
		return;
	sqlite3_close(m->db);
	free(m);
}

static void bind_value(sqlite3_stmt *insert, int position,
		       const struct inventory_schema_column *column, const json_t *value)
{
	if (column->is_number && json_is_integer(value))
		sqlite3_bind_int64(insert, position, json_integer_value(value));
	else if (!column->is_number && json_is_string(value) &&
		 json_string_length(value) <= INVENTORY_SCHEMA_TEXT_MAX)
		sqlite3_bind_text(insert, position, json_string_value(value), -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(insert, position);
}

static sqlite3_stmt *prepare_insert(struct membership *m, const struct inventory_schema_table *t)
{
	SCOPED(buf) struct buf sql = { 0 };
	sqlite3_stmt *insert = NULL;

	buf_printf(&sql, "INSERT INTO \"%s\" VALUES (?", t->name);
	for (const struct inventory_schema_column *c = t->columns; c->name != NULL; c++)
		buf_put_text(&sql, ", ?");
	buf_put_text(&sql, ")");
	return sqlite3_prepare_v2(m->db, buf_text(&sql), -1, &insert, NULL) == SQLITE_OK ? insert
											 : NULL;
}

static bool insert_rows(struct membership *m, const struct inventory_schema_table *t,
			const json_t *rows, struct err *err)
{
	sqlite3_stmt *insert = prepare_insert(m, t);
	const json_t *row;
	bool done = insert != NULL;
	size_t i;

	json_array_foreach (rows, i, row) {
		int position = 2;

		if (!done || i == INVENTORY_SCHEMA_ROWS_MAX)
			break;
		sqlite3_bind_text(insert, 1, m->client, -1, SQLITE_STATIC);
		for (const struct inventory_schema_column *c = t->columns; c->name != NULL; c++)
			bind_value(insert, position++, c, json_object_get(row, c->name));
		done = sqlite3_step(insert) == SQLITE_DONE;
		sqlite3_reset(insert);
	}
	if (!done)
		db_fault(m, t->name, err);
	sqlite3_finalize(insert);
	return done;
}

/* Every client has a row in `client`, whatever it told of itself. */
static bool insert_client(struct membership *m, const json_t *tables, struct err *err)
{
	const struct inventory_schema_table *t = inventory_schema_find("client");
	json_t *rows = json_object_get(tables, "client");
	json_auto_t *fallback = NULL;

	if (json_array_size(rows) > 0)
		return insert_rows(m, t, rows, err);
	fallback = json_pack("[{}]");
	return insert_rows(m, t, fallback, err);
}

bool membership_load(struct membership *m, const json_t *tables, struct err *err)
{
	m->guarded = false;
	if (sqlite3_exec(m->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return db_fault(m, "inventory in memory", err);
	for (const struct inventory_schema_table *t = inventory_schema_tables; t->name != NULL;
	     t++) {
		char sql[64];

		snprintf(sql, sizeof(sql), "DELETE FROM \"%s\"", t->name);
		sqlite3_exec(m->db, sql, NULL, NULL, NULL);
		if (strcmp(t->name, "client") == 0
			    ? !insert_client(m, tables, err)
			    : !insert_rows(m, t, json_object_get(tables, t->name), err)) {
			sqlite3_exec(m->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	}
	return sqlite3_exec(m->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
	       db_fault(m, "inventory in memory", err);
}

static enum membership_result fail(struct membership *m, char *reason, const char *text)
{
	text_escape_line(reason, MEMBERSHIP_REASON_MAX, m->refusal[0] != '\0' ? m->refusal : text);
	return MEMBERSHIP_ERROR;
}

/* Only blanks, semicolons and comments may stand behind the statement. */
static bool has_more(sqlite3 *db, const char *tail)
{
	sqlite3_stmt *next = NULL;
	int rc = sqlite3_prepare_v2(db, tail, -1, &next, NULL);
	bool more = rc != SQLITE_OK || next != NULL;

	sqlite3_finalize(next);
	return more;
}

/* Step through the rows until this client's id is among them. */
static enum membership_result look_for_client(struct membership *m, sqlite3_stmt *query,
					      char *reason)
{
	int rc;

	while ((rc = sqlite3_step(query)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(query, 0);

		if (id != NULL && strcmp(id, m->client) == 0)
			return MEMBERSHIP_MEMBER;
	}
	if (rc == SQLITE_DONE)
		return MEMBERSHIP_NOT_MEMBER;
	return fail(m, reason, sqlite3_errmsg(m->db));
}

static enum membership_result run_query(struct membership *m, const char *text, char *reason)
{
	sqlite3_stmt *query = NULL;
	enum membership_result result;
	const char *tail = "";

	if (strlen(text) > MEMBERSHIP_QUERY_MAX)
		return fail(m, reason, "its text is too long");
	if (sqlite3_prepare_v2(m->db, text, -1, &query, &tail) != SQLITE_OK)
		return fail(m, reason, sqlite3_errmsg(m->db));
	if (query == NULL)
		result = fail(m, reason, "it is empty");
	else if (has_more(m->db, tail))
		result = fail(m, reason, "it is more than one statement");
	else if (!sqlite3_stmt_readonly(query) || sqlite3_column_count(query) != 1)
		result = fail(m, reason, "it does not yield one column, client_id");
	else
		result = look_for_client(m, query, reason);
	sqlite3_finalize(query);
	return result;
}

static bool is_named(const struct membership *m, const struct docs_collection *c)
{
	char hash[65];

	docs_member_hash(hash, c->salt, m->client);
	for (size_t i = 0; i < c->member_count; i++)
		if (text_equal_nocase(hash, c->members[i]))
			return true;
	return false;
}

/* A stable sample: another collection draws others, a higher percentage keeps who was in. */
static bool is_in_sample(const struct membership *m, const struct docs_collection *c)
{
	SCOPED(buf) struct buf key = { 0 };
	struct digest d;
	uint64_t value = 0;

	if (c->percent == DOCS_NEVER)
		return true;
	buf_printf(&key, "%s/%s", c->name, m->client);
	digest_of(&d, buf_span(&key));
	for (size_t i = 0; i < 8; i++)
		value = value << 8 | d.bytes[i];
	return value % 10000 < (uint64_t)c->percent * 100;
}

enum membership_result membership_evaluate(struct membership *m,
					   const struct docs_collection *collection, char *reason)
{
	enum membership_result result;

	reason[0] = m->refusal[0] = '\0';
	m->steps = 0;
	m->memory = sqlite3_memory_used();
	m->guarded = true;
	if (collection->query != NULL)
		result = run_query(m, collection->query, reason);
	else
		result = is_named(m, collection) ? MEMBERSHIP_MEMBER : MEMBERSHIP_NOT_MEMBER;
	m->guarded = false;
	if (result == MEMBERSHIP_MEMBER && !is_in_sample(m, collection))
		return MEMBERSHIP_NOT_MEMBER;
	return result;
}

bool membership_check_query(const char *query, struct err *err)
{
	const struct docs_collection c = { .name = "check", .query = query, .percent = DOCS_NEVER };
	SCOPED(membership) struct membership *m = NULL;
	json_auto_t *nothing = json_object();
	char reason[MEMBERSHIP_REASON_MAX];

	if (!membership_new(&m, "00000000000000000000000000000000", err) ||
	    !membership_load(m, nothing, err))
		return false;
	if (membership_evaluate(m, &c, reason) != MEMBERSHIP_ERROR)
		return true;
	return err_set(err, ERR_QUERY, "the query is refused: %s", reason);
}
