#include "trust/siterole.h"

#include <string.h>

#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)
#define YEAR (365 * DAY)

/*
 * Snapshot and timestamp are small and made anew each day (an hour is taken off, so that a daily
 * timer that comes early does not skip one). The other online roles cost every client a
 * download, so they wait for half of theirs.
 */
static const struct siterole_rule rules[] = {
	[SITEROLE_ROOT] = {
		.name = "root",
		.type = "root",
		.bytes_max = 512000,
		.life_s = 5 * YEAR,
		.renew_below_s = 5 * YEAR / 2,
	},
	[SITEROLE_TARGETS] = {
		.name = "targets",
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 2 * YEAR,
		.renew_below_s = YEAR,
	},
	[SITEROLE_PACKAGES] = {
		.name = "packages",
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 2 * YEAR,
		.renew_below_s = YEAR,
		.patterns = { "package/*", "manifest/*/*" },
	},
	[SITEROLE_SITE] = {
		.name = "site",
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 14 * DAY,
		.renew_below_s = 7 * DAY,
		.patterns = { "site.json", "group/*" },
	},
	[SITEROLE_LOCATIONS] = {
		.name = "locations",
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 14 * DAY,
		.renew_below_s = 7 * DAY,
		.patterns = { "location/*" },
	},
	[SITEROLE_ASSIGNMENTS] = {
		.name = "assignments",
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 14 * DAY,
		.renew_below_s = 7 * DAY,
		.patterns = { "advertisement/*", "collection/*" },
	},
	[SITEROLE_SNAPSHOT] = {
		.name = "snapshot",
		.type = "snapshot",
		.bytes_max = 2000000,
		.life_s = 14 * DAY,
		.renew_below_s = 13 * DAY + HOUR,
	},
	[SITEROLE_TIMESTAMP] = {
		.name = "timestamp",
		.type = "timestamp",
		.bytes_max = 16384,
		.life_s = 14 * DAY,
		.renew_below_s = 13 * DAY + HOUR,
	},
};
static_assert(COUNT_OF(rules) == SITEROLE_COUNT_, "every role has its rule");

const struct siterole_rule *siterole_rule(enum siterole role)
{
	return &rules[role];
}

bool siterole_named(enum siterole *out, const char *name)
{
	for (size_t role = 0; role < SITEROLE_COUNT_; role++) {
		if (strcmp(rules[role].name, name) != 0)
			continue;
		*out = (enum siterole)role;
		return true;
	}
	return false;
}

bool siterole_is_delegated(enum siterole role)
{
	return role >= SITEROLE_PACKAGES && role <= SITEROLE_ASSIGNMENTS;
}

bool siterole_lists_targets(enum siterole role)
{
	return role == SITEROLE_TARGETS || siterole_is_delegated(role);
}

static bool is_path_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* Components that begin with a dot are left to temporary files, and ".." with them. */
static bool path_is_fine(const char *path)
{
	size_t size = strlen(path);
	char before = '/';

	for (size_t i = 0; i < size; i++) {
		bool first = before == '/';

		if (path[i] == '/' ? first
				   : !is_path_character(path[i]) || (first && path[i] == '.'))
			return false;
		before = path[i];
	}
	return size <= SITEROLE_PATH_MAX && before != '/';
}

/* A '*' stands for one whole component, which is all that our patterns need. */
static bool pattern_matches(const char *pattern, const char *path)
{
	while (*pattern != '\0') {
		if (*pattern == '*') {
			path += strcspn(path, "/");
			pattern++;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

bool siterole_of_path(enum siterole *out, const char *path)
{
	if (!path_is_fine(path))
		return false;
	for (size_t role = 0; role < SITEROLE_COUNT_; role++) {
		for (size_t i = 0; i < SITEROLE_PATTERNS_MAX; i++) {
			const char *pattern = rules[role].patterns[i];

			if (pattern != NULL && pattern_matches(pattern, path)) {
				*out = (enum siterole)role;
				return true;
			}
		}
	}
	return false;
}
