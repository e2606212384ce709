/*
 * Boundary groups and their boundaries: which machines are near which CAPs and DPs.
 *
 * Each call is one transaction of its own.
 */
#ifndef SITE_GROUP_H
#define SITE_GROUP_H

#include "site/site.h"

#define GROUP_AFTER_DEFAULT_MIN 120          /* until neighbours and the site default open */
#define GROUP_AFTER_MAX_MIN     (366 * 1440) /* longer is `never` */

/* What `group add` takes; texts are borrowed. */
struct group_spec {
	const char *name;
	const char *const *neighbours; /* "OTHER" or "OTHER:MINUTES" */
	size_t neighbour_count;
	const char *const *prefer; /* names of systems, or locators */
	size_t prefer_count;
	const char *default_after; /* minutes, "never", or NULL: GROUP_AFTER_DEFAULT_MIN */
	const char *policy;        /* a policy's name, or NULL: the client's own */
	bool fence;
	bool cross_tier;
	uint64_t max_rate;  /* bytes a second that each client's fetch may take; 0: any */
	const char *window; /* "HH:MM-HH:MM": when its clients may fetch; NULL: always */
};

/*
 * Add a group. ERR_EXISTS, ERR_NOT_FOUND for a neighbour or preferred system that does not exist,
 * ERR_USAGE for texts that do not parse.
 */
bool group_add(struct site *site, const struct group_spec *spec, struct err *err) MUST_USE;

/* ERR_IN_USE while a boundary, system or other group refers to it; ERR_NOT_FOUND. */
bool group_remove(struct site *site, const char *name, struct err *err) MUST_USE;

/* Lists and one group as JSON; the caller owns them. */
/*
 * The neighbours that do not exist, of one group (NULL: of all), as rows of {"group","other"}: a
 * group may be named before it is added, so that two can be neighbours of each other.
 */
bool group_list_strangers(json_t **out, struct site *site, const char *name, struct err *err)
	MUST_USE;

bool group_list(json_t **out, struct site *site, struct err *err) MUST_USE;
bool group_show(json_t **out, struct site *site, const char *name, struct err *err) MUST_USE;

/* ERR_NOT_FOUND unless there is such a group; NULL is fine. */
bool group_check(struct site *site, const char *name, struct err *err) MUST_USE;

/*
 * Put a network into a group. The same network in another group is a tie, which no rule could
 * break: ERR_EXISTS names that group.
 */
bool group_add_boundary(struct site *site, const char *cidr, const char *group, struct err *err)
	MUST_USE;
bool group_remove_boundary(struct site *site, const char *cidr, struct err *err) MUST_USE;
bool group_list_boundaries(json_t **out, struct site *site, struct err *err) MUST_USE;

#endif
