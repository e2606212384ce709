/*
 * The TUF roles of a site: names, lives, limits, and which of them signs which target file.
 *
 * PURE.
 */
#ifndef TRUST_SITEROLE_H
#define TRUST_SITEROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"

#define SITEROLE_PATH_MAX     200 /* characters of a target's path */
#define SITEROLE_PATTERNS_MAX 2
#define SITEROLE_KEYS_MAX     16 /* keys of one role */

/* In the order in which they are made and written. */
enum siterole {
	SITEROLE_ROOT,
	SITEROLE_TARGETS,     /* only delegates to the four below */
	SITEROLE_PACKAGES,    /* package/<id>.json, manifest/<id>/<version> */
	SITEROLE_SITE,        /* site.json, group/<name>.json */
	SITEROLE_LOCATIONS,   /* location/<id>.json */
	SITEROLE_ASSIGNMENTS, /* advertisement/<bin>.json, collection/<bin>.json */
	SITEROLE_SNAPSHOT,
	SITEROLE_TIMESTAMP,
	SITEROLE_COUNT_,
};

struct siterole_rule {
	const char *name;
	const char *type;      /* "_type" in its files */
	size_t bytes_max;      /* what clients read at most */
	int64_t life_s;        /* from being signed to "expires" */
	int64_t renew_below_s; /* made anew when less life than this is left */
	const char *patterns[SITEROLE_PATTERNS_MAX]; /* paths it signs; NULL where there is none */
};

/* The rule of a role; never NULL. */
const struct siterole_rule *siterole_rule(enum siterole role);

/* The role of that name; false if there is none. */
bool siterole_named(enum siterole *out, const char *name) MUST_USE;

/* True for the roles that `targets` delegates to. */
bool siterole_is_delegated(enum siterole role);

/* True for `targets` and those it delegates to: the roles whose files list target files. */
bool siterole_lists_targets(enum siterole role);

/*
 * The role that signs the target `path`. False if no role does, or the path holds anything but
 * letters, digits, '.', '_', '-' and single slashes, or a component begins with a dot. Everything
 * else asks this function, so that it is the only place that changes when a role is split into
 * bins.
 */
bool siterole_of_path(enum siterole *out, const char *path) MUST_USE;

#endif
