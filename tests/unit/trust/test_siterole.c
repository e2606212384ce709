#include "trust/siterole.h"

#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "support/testing.h"

#define NONE SITEROLE_COUNT_

static void each_path_has_one_role_or_none(void **state)
{
	static const struct {
		const char *why;
		const char *path;
		enum siterole want;
	} cases[] = {
		{ "a package", "package/LON00001.json", SITEROLE_PACKAGES },
		{ "a manifest", "manifest/LON00001/12", SITEROLE_PACKAGES },
		{ "the site", "site.json", SITEROLE_SITE },
		{ "a group", "group/branch-2.json", SITEROLE_SITE },
		{ "a location", "location/LON00001.json", SITEROLE_LOCATIONS },
		{ "an advertisement bin", "advertisement/3f.json", SITEROLE_ASSIGNMENTS },
		{ "a collection bin", "collection/00.json", SITEROLE_ASSIGNMENTS },
		{ "nothing", "", NONE },
		{ "an unknown folder", "other/x.json", NONE },
		{ "a folder alone", "package/", NONE },
		{ "one level too deep", "package/a/b.json", NONE },
		{ "one level too few", "manifest/LON00001", NONE },
		{ "a longer name", "site.json.old", NONE },
		{ "a shorter name", "site.jso", NONE },
		{ "absolute", "/package/x.json", NONE },
		{ "up and out", "package/..", NONE },
		{ "up and back", "package/../site.json", NONE },
		{ "a hidden file", "package/.new-1", NONE },
		{ "a doubled slash", "manifest//1", NONE },
		{ "a space", "group/a b.json", NONE },
		{ "a line feed", "group/a\n.json", NONE },
		{ "no ASCII", "group/\xc3\xa4.json", NONE },
		{ "a back slash", "group/a\\b.json", NONE },
		{ "a pattern", "package/*", NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum siterole role = NONE;
		bool found = siterole_of_path(&role, cases[i].path);

		if (found != (cases[i].want != NONE) || role != cases[i].want)
			fail_msg("%s: %s", cases[i].why, cases[i].path);
	}
}

static void a_path_has_its_limit(void **state)
{
	char path[SITEROLE_PATH_MAX + 2];
	enum siterole role;

	(void)state;
	memset(path, 'x', sizeof(path));
	memcpy(path, "group/", 6);
	path[SITEROLE_PATH_MAX] = '\0';
	assert_true(siterole_of_path(&role, path));
	path[SITEROLE_PATH_MAX] = 'x';
	path[SITEROLE_PATH_MAX + 1] = '\0';
	assert_false(siterole_of_path(&role, path));
}

/* A role that were renewed only after its life would lapse. */
static void every_role_is_renewed_within_its_life(void **state)
{
	(void)state;
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		const struct siterole_rule *rule = siterole_rule(role);

		assert_true(siterole_renew_below(role) > 0);
		assert_true(siterole_renew_below(role) <= siterole_renew_early(role));
		assert_true(siterole_renew_early(role) < rule->life_s);
		assert_int_equal(rule->patterns[0] != NULL, siterole_is_delegated(role));
	}
}

static void every_role_and_bin_goes_by_its_name(void **state)
{
	static const struct {
		const char *name;
		enum siterole want;
	} cases[] = {
		{ "root", SITEROLE_ROOT },
		{ "packages", SITEROLE_PACKAGES },
		{ "packages-00", SITEROLE_PACKAGES_BIN },
		{ "packages-ff", SITEROLE_PACKAGES_BIN + 255 },
		{ "locations-3f", SITEROLE_LOCATIONS_BIN + 63 },
		{ "timestamp", SITEROLE_TIMESTAMP },
		{ "locations-40", NONE },
		{ "packages-100", NONE },
		{ "packages-FF", NONE },
		{ "packages-0", NONE },
		{ "packages- f", NONE },
		{ "packages-", NONE },
		{ "site-00", NONE },
		{ "-00", NONE },
		{ "", NONE },
	};
	enum siterole role;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool found = siterole_named(&role, cases[i].name);

		if (found != (cases[i].want != NONE) || (found && role != cases[i].want))
			fail_msg("%s", cases[i].name);
	}
	for (enum siterole i = 0; i < SITEROLE_COUNT_; i++) {
		assert_true(siterole_named(&role, siterole_name(i).text));
		assert_int_equal(role, i);
	}
}

/* Each first byte of a hash belongs to one bin of each role: the one that a path goes to. */
static void bins_share_all_hashes(void **state)
{
	static const enum siterole wholes[] = { SITEROLE_PACKAGES, SITEROLE_LOCATIONS };
	char prefix[3], path[32], hex[DIGEST_HEX_SIZE];

	(void)state;
	for (size_t w = 0; w < COUNT_OF(wholes); w++) {
		enum siterole owner[256], bin;
		unsigned int seen = 0, byte;

		for (bin = 0; bin < SITEROLE_COUNT_; bin++) {
			if (!siterole_is_bin(bin) || siterole_whole(bin) != wholes[w])
				continue;
			assert_int_equal(siterole_delegator(bin), wholes[w]);
			for (unsigned int i = 0; siterole_bin_prefix(prefix, bin, i); i++) {
				assert_int_equal(sscanf(prefix, "%2x", &byte), 1);
				owner[byte] = bin;
				seen++;
			}
		}
		assert_int_equal(seen, 256);
		for (unsigned int i = 0; i < 2000; i++) {
			struct digest hash;

			snprintf(path, sizeof(path), "package/LON%05x.json", i);
			digest_of(&hash, span_of_text(path));
			digest_print(hex, &hash);
			assert_int_equal(sscanf(hex, "%2x", &byte), 1);
			assert_int_equal(siterole_bin_of_path(wholes[w], path), owner[byte]);
		}
	}
}

TESTING_MAIN(cmocka_unit_test(each_path_has_one_role_or_none),
	     cmocka_unit_test(a_path_has_its_limit),
	     cmocka_unit_test(every_role_is_renewed_within_its_life),
	     cmocka_unit_test(every_role_and_bin_goes_by_its_name),
	     cmocka_unit_test(bins_share_all_hashes))
