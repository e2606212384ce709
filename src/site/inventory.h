/*
 * Inventory as clients report it, kept in ordinary tables keyed by client_id
 * (docs/ARCHITECTURE.md 5).
 */
#ifndef SITE_INVENTORY_H
#define SITE_INVENTORY_H

#include <jansson.h>

#include "site/site.h"

/* ERR_LIMIT and ERR_FORMAT describe an inventory that is not to be taken. No I/O. */
bool inventory_check(const json_t *tables, struct err *err) MUST_USE;

/*
 * Replace what is known of a client by `tables` ({"os":[{…}],…}), which were checked, for each
 * table that is there, inside the caller's transaction. Unknown tables and columns are ignored,
 * values of another type become NULL.
 */
bool inventory_replace(struct site *site, const char *client_id, const json_t *tables,
		       struct err *err) MUST_USE;

/* Forget a client's inventory, inside the caller's transaction. */
bool inventory_drop(struct site *site, const char *client_id, struct err *err) MUST_USE;

#endif
