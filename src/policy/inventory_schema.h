/*
 * The inventory tables: one schema for the site's database, a client's own evaluation, and the
 * records between them (docs/ARCHITECTURE.md 5).
 *
 * PURE.
 */
#ifndef POLICY_INVENTORY_SCHEMA_H
#define POLICY_INVENTORY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#define INVENTORY_SCHEMA_COLUMNS_MAX 8
#define INVENTORY_SCHEMA_ROWS_MAX    50000 /* of one table and client */
#define INVENTORY_SCHEMA_TEXT_MAX    1024  /* bytes of one value */

struct inventory_schema_column {
	const char *name;
	bool is_number;
};

struct inventory_schema_table {
	const char *name;
	/* Besides client_id; ends with a NULL name. */
	struct inventory_schema_column columns[INVENTORY_SCHEMA_COLUMNS_MAX];
};

/* All tables; the last has a NULL name. */
extern const struct inventory_schema_table inventory_schema_tables[];

const struct inventory_schema_table *inventory_schema_find(const char *name);

#endif
