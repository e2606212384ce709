/*
 * Is this client in that collection? A collection is a predicate over one client: a SELECT that
 * yields client_id, run over tables that hold that client and nobody else, by client and site
 * alike, so that both mean the same; or a list of hashed members; perhaps a percentage of either.
 *
 *     membership_new → membership_load → membership_evaluate* → membership_free
 *
 * The text comes from others. It may read the inventory tables and call listed functions, and
 * nothing else: no writes, no second statement, no random or clock functions, no other tables, no
 * PRAGMA or ATTACH; its time and memory are bounded. What breaks a rule is an error, and an error
 * is no member.
 *
 * An in-memory SQLite database per handle; no file is touched. One thread per handle.
 */
#ifndef POLICY_MEMBERSHIP_H
#define POLICY_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "policy/docs.h"

#define MEMBERSHIP_REASON_MAX 200
#define MEMBERSHIP_QUERY_MAX  16384   /* bytes of a query's text */
#define MEMBERSHIP_STEPS_MAX  5000000 /* instructions of SQLite's machine for one query */
#define MEMBERSHIP_MEMORY_MAX ((int64_t)32 << 20) /* bytes that one query may pile up, roughly */

enum membership_result {
	MEMBERSHIP_MEMBER,
	MEMBERSHIP_NOT_MEMBER,
	MEMBERSHIP_ERROR, /* not a member; the reason says why */
};

struct membership;

/* A handle for one client; the caller frees it. */
bool membership_new(struct membership **out, const char *client_id, struct err *err) MUST_USE;
void membership_free(struct membership *m);
SCOPED_FREE(membership);

/*
 * Fill the tables from an inventory record's "tables" object, replacing what they held. Unknown
 * tables and columns are passed over; values of another type become NULL. The table `client` always
 * has a row.
 */
bool membership_load(struct membership *m, const json_t *tables, struct err *err) MUST_USE;

/* Evaluate a collection; `reason` (MEMBERSHIP_REASON_MAX bytes) is filled for MEMBERSHIP_ERROR. */
enum membership_result membership_evaluate(struct membership *m,
					   const struct docs_collection *collection, char *reason);

/*
 * What the site asks before it accepts a query: ERR_QUERY with the reason if it would be an error
 * on every client.
 */
bool membership_check_query(const char *query, struct err *err) MUST_USE;

#endif
