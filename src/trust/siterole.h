/*
 * The TUF roles of a site: names, lives, limits, and which of them signs which target file.
 *
 * A role that lists many targets is split for good: it then delegates to bins, which are roles of
 * their own, each for the paths whose SHA-256 begins with certain bits. A change costs a client one
 * bin then, not the whole list.
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

#define SITEROLE_PACKAGES_BINS  256
#define SITEROLE_LOCATIONS_BINS 64
#define SITEROLE_SPLIT_ABOVE    500 /* targets in one file: about 60,000 bytes */

/* In the order in which they are made and written. Bins are ranges without names of their own. */
enum siterole {
	SITEROLE_ROOT,
	SITEROLE_TARGETS,     /* only delegates to the four below */
	SITEROLE_PACKAGES,    /* package/<id>.json, manifest/<id>/<version> */
	SITEROLE_SITE,        /* site.json, group/<name>.json */
	SITEROLE_LOCATIONS,   /* location/<id>.json */
	SITEROLE_ASSIGNMENTS, /* advertisement/<bin>.json, collection/<bin>.json */
	SITEROLE_PACKAGES_BIN,
	SITEROLE_LOCATIONS_BIN = SITEROLE_PACKAGES_BIN + SITEROLE_PACKAGES_BINS,
	SITEROLE_SNAPSHOT = SITEROLE_LOCATIONS_BIN + SITEROLE_LOCATIONS_BINS,
	SITEROLE_TIMESTAMP,
	SITEROLE_COUNT_,
};

struct siterole_rule {
	const char *type;      /* "_type" in its files */
	size_t bytes_max;      /* what clients read at most */
	int64_t life_s;        /* from being signed to "expires" */
	int64_t renew_below_s; /* made anew when less life than this is left */
	const char *patterns[SITEROLE_PATTERNS_MAX]; /* paths it signs; NULL where there is none */
	enum siterole first_bin;                     /* of a role that can be split */
	unsigned int bins;                           /* how many it is split into; 0: never */
};

/* The rule of a role; never NULL. */
const struct siterole_rule *siterole_rule(enum siterole role);

/* "packages"; of a bin "packages-3f". */
struct siterole_name {
	char text[24];
};
struct siterole_name siterole_name(enum siterole role);

/* The role, or bin, of that name; false if there is none. */
bool siterole_named(enum siterole *out, const char *name) MUST_USE;

/* True for bins. Loops over what people know as roles leave them out. */
bool siterole_is_bin(enum siterole role);

/* The role that a bin is part of; any other role itself. */
enum siterole siterole_whole(enum siterole role);

/* The role whose file says who signs this one. */
enum siterole siterole_delegator(enum siterole role);

/*
 * Made anew when less life than this is left. Bins that were made together are renewed one after
 * the other over a quarter of their life, so that no day signs, and no client fetches, all of them.
 */
int64_t siterole_renew_below(enum siterole role);

/* The same where somebody is asked to sign: bins that are due soon are not asked for one by one. */
int64_t siterole_renew_early(enum siterole role);

/* True for the roles that `targets` delegates to; not for bins. */
bool siterole_is_delegated(enum siterole role);

/* True for `targets`, those it delegates to, and bins: the roles whose files list target files. */
bool siterole_lists_targets(enum siterole role);

/*
 * The role that signs the target `path`, as long as it is not split. False if no role does, or the
 * path holds anything but letters, digits, '.', '_', '-' and single slashes, or a component begins
 * with a dot.
 */
bool siterole_of_path(enum siterole *out, const char *path) MUST_USE;

/* The bin that signs `path` where `role` is split. */
enum siterole siterole_bin_of_path(enum siterole role, const char *path);

/*
 * The i-th prefix, as "path_hash_prefixes" has it, of the paths that a bin signs: two hexadecimal
 * digits. False past the last.
 */
bool siterole_bin_prefix(char dst[3], enum siterole bin, unsigned int i) MUST_USE;

#endif
