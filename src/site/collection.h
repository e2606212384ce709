/*
 * Collections: predicates over one client's inventory, or named members.
 */
#ifndef SITE_COLLECTION_H
#define SITE_COLLECTION_H

#include "site/site.h"

#define COLLECTION_QUERY_MAX 8192 /* bytes of a SELECT */

/* What `collection add` takes: a query or members; texts are borrowed. */
struct collection_spec {
	const char *name;
	const char *query;
	const char *const *members; /* client ids, or names that one client has */
	size_t member_count;
	int64_t percent; /* 0: everybody */
};

/*
 * Add a collection. A query is tried on an empty inventory as a client would run it: ERR_QUERY
 * with its reason if no client could. ERR_EXISTS, ERR_NOT_FOUND for a member's name.
 */
bool collection_add(struct site *site, const struct collection_spec *spec, struct err *err)
	MUST_USE;

/* ERR_IN_USE while an advertisement names it; ERR_REFUSED for `all`. */
bool collection_remove(struct site *site, const char *name, struct err *err) MUST_USE;

bool collection_list(json_t **out, struct site *site, struct err *err) MUST_USE;

/* The collection with its members among the enrolled clients; the caller owns it. */
bool collection_show(json_t **out, struct site *site, const char *name, struct err *err) MUST_USE;

/* How many enrolled clients are members. Runs the query once per client. */
bool collection_count(int64_t *out, struct site *site, const char *name, struct err *err) MUST_USE;

/* ERR_NOT_FOUND unless there is such a collection. */
bool collection_check(struct site *site, const char *name, struct err *err) MUST_USE;

#endif
