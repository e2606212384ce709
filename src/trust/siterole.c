#include "trust/siterole.h"

#include <stdio.h>
#include <string.h>

#include "common/digest.h"

#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)
#define YEAR (365 * DAY)

static const char *const names[] = {
	[SITEROLE_ROOT] = "root",           [SITEROLE_TARGETS] = "targets",
	[SITEROLE_PACKAGES] = "packages",   [SITEROLE_SITE] = "site",
	[SITEROLE_LOCATIONS] = "locations", [SITEROLE_ASSIGNMENTS] = "assignments",
};

/* The roles below bins, and with bins left out. */
#define BEFORE_BINS SITEROLE_PACKAGES_BIN

/*
 * The timestamp is small and made anew each day (an hour is taken off, so that a daily timer that
 * comes early does not skip one): that is what bounds how long a client can be kept from news. The
 * other online roles cost every client a download, so they wait for half of theirs.
 */
static const struct siterole_rule rules[] = {
	[SITEROLE_ROOT] = {
		.type = "root",
		.bytes_max = 512000,
		.life_s = 5 * YEAR,
		.renew_below_s = 5 * YEAR / 2,
	},
	[SITEROLE_TARGETS] = {
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 2 * YEAR,
		.renew_below_s = YEAR,
	},
	[SITEROLE_PACKAGES] = {
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 2 * YEAR,
		.renew_below_s = YEAR,
		.patterns = { "package/*", "manifest/*/*" },
		.first_bin = SITEROLE_PACKAGES_BIN,
		.bins = SITEROLE_PACKAGES_BINS,
	},
	[SITEROLE_SITE] = {
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 14 * DAY,
		.renew_below_s = 7 * DAY,
		.patterns = { "site.json", "group/*" },
	},
	[SITEROLE_LOCATIONS] = {
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 14 * DAY,
		.renew_below_s = 7 * DAY,
		.patterns = { "location/*" },
		.first_bin = SITEROLE_LOCATIONS_BIN,
		.bins = SITEROLE_LOCATIONS_BINS,
	},
	[SITEROLE_ASSIGNMENTS] = {
		.type = "targets",
		.bytes_max = 5000000,
		.life_s = 14 * DAY,
		.renew_below_s = 7 * DAY,
		.patterns = { "advertisement/*", "collection/*" },
	},
};
static_assert(COUNT_OF(rules) == BEFORE_BINS, "every role before the bins has its rule");
static_assert(COUNT_OF(names) == BEFORE_BINS, "and its name");

/*
 * A bin is worth no more than the file that names its keys, and clients check the life of both: a
 * stolen key is withdrawn there. So bins need no short life of their own, online or not.
 */
static const struct siterole_rule bin_rule = {
	.type = "targets",
	.bytes_max = 5000000,
	.life_s = 2 * YEAR,
	.renew_below_s = YEAR,
};

static const struct siterole_rule snapshot_rule = {
	.type = "snapshot",
	.bytes_max = 2000000,
	.life_s = 14 * DAY,
	.renew_below_s = 7 * DAY,
};

static const struct siterole_rule timestamp_rule = {
	.type = "timestamp",
	.bytes_max = 16384,
	.life_s = 14 * DAY,
	.renew_below_s = 13 * DAY + HOUR,
};

const struct siterole_rule *siterole_rule(enum siterole role)
{
	assert(role < SITEROLE_COUNT_);
	return role < BEFORE_BINS          ? &rules[role]
	       : siterole_is_bin(role)     ? &bin_rule
	       : role == SITEROLE_SNAPSHOT ? &snapshot_rule
					   : &timestamp_rule;
}

bool siterole_is_bin(enum siterole role)
{
	return role >= SITEROLE_PACKAGES_BIN && role < SITEROLE_SNAPSHOT;
}

enum siterole siterole_whole(enum siterole role)
{
	if (!siterole_is_bin(role))
		return role;
	return role < SITEROLE_LOCATIONS_BIN ? SITEROLE_PACKAGES : SITEROLE_LOCATIONS;
}

enum siterole siterole_delegator(enum siterole role)
{
	if (siterole_is_bin(role))
		return siterole_whole(role);
	return siterole_is_delegated(role) ? SITEROLE_TARGETS : SITEROLE_ROOT;
}

/* The number of a bin within its role. */
static unsigned int bin_number(enum siterole bin)
{
	return (unsigned int)(bin - rules[siterole_whole(bin)].first_bin);
}

int64_t siterole_renew_below(enum siterole role)
{
	const struct siterole_rule *rule = siterole_rule(role);

	if (!siterole_is_bin(role))
		return rule->renew_below_s;
	return rule->renew_below_s +
	       rule->life_s / 4 * bin_number(role) / rules[siterole_whole(role)].bins;
}

int64_t siterole_renew_early(enum siterole role)
{
	const struct siterole_rule *rule = siterole_rule(role);

	return rule->renew_below_s + (siterole_is_bin(role) ? rule->life_s / 4 : 0);
}

struct siterole_name siterole_name(enum siterole role)
{
	struct siterole_name name;

	if (siterole_is_bin(role))
		snprintf(name.text, sizeof(name.text), "%s-%02x", names[siterole_whole(role)],
			 bin_number(role));
	else
		snprintf(name.text, sizeof(name.text), "%s",
			 role < BEFORE_BINS          ? names[role]
			 : role == SITEROLE_SNAPSHOT ? "snapshot"
						     : "timestamp");
	return name;
}

static bool is_named(enum siterole role, const char *name)
{
	return strcmp(siterole_name(role).text, name) == 0;
}

/* "packages-3f"; the number decides where to look, and the whole name has to be right. */
static bool named_bin(enum siterole *out, enum siterole whole, const char *name)
{
	const char *dash = strrchr(name, '-');
	unsigned int number;

	if (dash == NULL || sscanf(dash + 1, "%2x", &number) != 1 || number >= rules[whole].bins)
		return false;
	*out = rules[whole].first_bin + number;
	return is_named(*out, name);
}

bool siterole_named(enum siterole *out, const char *name)
{
	for (enum siterole role = 0; role < BEFORE_BINS; role++) {
		*out = role;
		if (is_named(role, name) || named_bin(out, role, name))
			return true;
	}
	*out = strcmp(name, "snapshot") == 0 ? SITEROLE_SNAPSHOT : SITEROLE_TIMESTAMP;
	return is_named(*out, name);
}

bool siterole_is_delegated(enum siterole role)
{
	return role >= SITEROLE_PACKAGES && role <= SITEROLE_ASSIGNMENTS;
}

bool siterole_lists_targets(enum siterole role)
{
	return role >= SITEROLE_TARGETS && role < SITEROLE_SNAPSHOT;
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
	for (size_t role = 0; role < BEFORE_BINS; role++) {
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

/* How many of the 256 first bytes of a hash fall to each bin. */
static unsigned int bytes_per_bin(enum siterole whole)
{
	return 256 / rules[whole].bins;
}

enum siterole siterole_bin_of_path(enum siterole role, const char *path)
{
	struct digest hash;

	assert(rules[role].bins > 0);
	digest_of(&hash, span_of_text(path));
	return rules[role].first_bin + hash.bytes[0] / bytes_per_bin(role);
}

bool siterole_bin_prefix(char dst[3], enum siterole bin, unsigned int i)
{
	unsigned int each = bytes_per_bin(siterole_whole(bin));

	if (i >= each)
		return false;
	snprintf(dst, 3, "%02x", (bin_number(bin) * each + i) & 0xff);
	return true;
}
