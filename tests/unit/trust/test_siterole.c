#include "trust/siterole.h"

#include <string.h>

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
	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		const struct siterole_rule *rule = siterole_rule((enum siterole)i);

		assert_non_null(rule->name);
		assert_true(rule->renew_below_s > 0 && rule->renew_below_s < rule->life_s);
		assert_int_equal(rule->patterns[0] != NULL,
				 siterole_is_delegated((enum siterole)i));
	}
}

TESTING_MAIN(cmocka_unit_test(each_path_has_one_role_or_none),
	     cmocka_unit_test(a_path_has_its_limit),
	     cmocka_unit_test(every_role_is_renewed_within_its_life))
