#include "site/inventory.h"

#include <string.h>

#include "common/jsondoc.h"
#include "policy/inventory_schema.h"

#define COLUMNS_MAX 8

/* A table of clients' rows: its columns in the order of the statement's parameters. */
static const struct table {
	const char *name;
	enum site_statement clear;
	enum site_statement add;
	const char *columns[COLUMNS_MAX];
} tables[] = {
	{ "os", STMT_OS_CLEAR, STMT_OS_ADD, { "id", "name", "version", "kernel", "arch" } },
	{ "hardware",
	  STMT_HARDWARE_CLEAR,
	  STMT_HARDWARE_ADD,
	  { "vendor", "product", "serial", "cpu", "cores", "memory_mb" } },
	{ "network",
	  STMT_NETWORK_CLEAR,
	  STMT_NETWORK_ADD,
	  { "interface", "address", "prefix", "mac" } },
	{ "disk",
	  STMT_DISK_CLEAR,
	  STMT_DISK_ADD,
	  { "device", "mount", "fstype", "size_mb", "free_mb" } },
	{ "software",
	  STMT_SOFTWARE_CLEAR,
	  STMT_SOFTWARE_ADD,
	  { "name", "version", "arch", "source" } },
};

static struct db_value value_of(const json_t *row, const char *column)
{
	const json_t *value = json_object_get(row, column);

	if (json_is_integer(value))
		return db_int(json_integer_value(value));
	if (!json_is_string(value))
		return db_null();
	return (struct db_value){
		.type = DB_TEXT_VALUE,
		.bytes = span_of(
			json_string_value(value),
			MIN_OF(json_string_length(value), (size_t)INVENTORY_SCHEMA_TEXT_MAX)),
	};
}

static bool add_row(struct site *site, const struct table *table, const char *client_id,
		    const json_t *row, struct err *err)
{
	struct db_value values[COLUMNS_MAX + 1] = { db_text(client_id) };
	size_t count = 1;

	for (; count <= COLUMNS_MAX && table->columns[count - 1] != NULL; count++)
		values[count] = value_of(row, table->columns[count - 1]);
	return db_run(site->db, table->add, values, count, err);
}

static bool check_table(const struct table *table, const json_t *rows, struct err *err)
{
	if (!json_is_array(rows))
		return err_set(err, ERR_FORMAT, "inventory table %s is no array", table->name);
	if (json_array_size(rows) > INVENTORY_SCHEMA_ROWS_MAX)
		return err_set(err, ERR_LIMIT,
			       "inventory table %s has %zu rows, at most %d are kept", table->name,
			       json_array_size(rows), INVENTORY_SCHEMA_ROWS_MAX);
	return true;
}

bool inventory_check(const json_t *given, struct err *err)
{
	if (!json_is_object(given))
		return err_set(err, ERR_FORMAT, "inventory has no tables");
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		const json_t *rows = json_object_get(given, tables[i].name);

		if (rows != NULL && !check_table(&tables[i], rows, err))
			return false;
	}
	return true;
}

static bool replace_table(struct site *site, const struct table *table, const char *client_id,
			  const json_t *rows, struct err *err)
{
	json_t *row;
	size_t i;

	if (!db_run(site->db, table->clear, DB_ARGS(db_text(client_id)), err))
		return false;
	json_array_foreach (rows, i, row)
		if (!add_row(site, table, client_id, row, err))
			return false;
	return true;
}

static const char *text_or_null(const json_t *row, const char *key)
{
	const char *text = jsondoc_text(row, key);

	return text != NULL && strlen(text) <= INVENTORY_SCHEMA_TEXT_MAX ? text : NULL;
}

/* The client's own row always exists: its name was set at enrolment and stays if none is sent. */
static bool update_client(struct site *site, const char *client_id, const json_t *rows,
			  struct err *err)
{
	const json_t *row = json_array_get(rows, 0);

	if (row == NULL)
		return true;
	return db_run(site->db, STMT_CLIENT_ROW_UPDATE,
		      DB_ARGS(db_text(client_id), db_text(text_or_null(row, "name")),
			      db_text(text_or_null(row, "agent_version")),
			      db_text(text_or_null(row, "machine"))),
		      err);
}

bool inventory_replace(struct site *site, const char *client_id, const json_t *given,
		       struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		const json_t *rows = json_object_get(given, tables[i].name);

		if (rows != NULL && !replace_table(site, &tables[i], client_id, rows, err))
			return false;
	}
	return update_client(site, client_id, json_object_get(given, "client"), err);
}

bool inventory_drop(struct site *site, const char *client_id, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(tables); i++)
		if (!db_run(site->db, tables[i].clear, DB_ARGS(db_text(client_id)), err))
			return false;
	return db_run(site->db, STMT_CLIENT_ROW_REMOVE, DB_ARGS(db_text(client_id)), err);
}
