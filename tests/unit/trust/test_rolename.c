#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "trust/rolename.h"

static void check(const char *why, char *got, const char *want)
{
	if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
		fail_msg("%s: got %s", why, got != NULL ? got : "nothing");
	free(got);
}

static void roles_have_one_file_and_one_url(void **state UNUSED)
{
	check("our own", rolename_file("packages"), "packages.json");
	check("versioned", rolename_url("packages", 12), "12.packages.json");
	check("unversioned", rolename_url("timestamp", 0), "timestamp.json");
	check("a slash", rolename_url("a/b", 1), "1.a%2Fb.json");
	check("up", rolename_file("../a"), "%2E.%2Fa.json");
	check("a percent sign", rolename_file("%41"), "%2541.json");
	check("bytes", rolename_file("\x01\xff"), "%01%FF.json");
}

static void some_names_are_no_delegated_roles(void **state UNUSED)
{
	SCOPED_TEXT char *longest = alloc_printf("%0*d", ROLENAME_MAX, 0);
	SCOPED_TEXT char *longer = alloc_printf("%0*d", ROLENAME_MAX + 1, 0);
	SCOPED_TEXT char *slashes = alloc_text(longest);
	const struct {
		const char *why, *name;
		bool want;
	} rows[] = {
		{ "a name", "packages", true },
		{ "nothing", "", false },
		{ "root", "root", false },
		{ "timestamp", "timestamp", false },
		{ "snapshot", "snapshot", false },
		{ "targets", "targets", false },
		{ "another case is another name", "Root", true },
		{ "the longest", longest, true },
		{ "one more", longer, false },
		{ "long once encoded", slashes, false },
	};

	memset(slashes, '/', ROLENAME_MAX / 2);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rolename_is_delegated(rows[i].name) != rows[i].want)
			fail_msg("%s", rows[i].why);
}

static void targets_have_a_hash_in_their_name(void **state UNUSED)
{
	check("a folder", rolename_target_url("a/b", "ff"), "a/ff.b");
	check("no folder", rolename_target_url("b", "ff"), "ff.b");
	check("no hash", rolename_target_url("a/b", NULL), "a/b");
	check("odd bytes", rolename_target_url("a b/c?", "ff"), "a%20b/ff.c%3F");
	check("up", rolename_target_url("../b", "ff"), NULL);
	check("up inside", rolename_target_url("a/../b", "ff"), NULL);
	check("absolute", rolename_target_url("/b", "ff"), NULL);
	check("a folder itself", rolename_target_url("b/", "ff"), NULL);
	check("nothing", rolename_target_url("", "ff"), NULL);
}

static void target_files_are_single_names(void **state UNUSED)
{
	SCOPED_TEXT char *long_path = alloc_printf("%0*d", 400, 0);
	SCOPED_TEXT char *other_path = alloc_printf("%0*d", 401, 0);
	SCOPED_TEXT char *cut = rolename_target_file(long_path);
	SCOPED_TEXT char *other = rolename_target_file(other_path);

	check("a path", rolename_target_file("a/b c"), "a%2Fb%20c");
	check("a hidden one", rolename_target_file(".a"), "%2Ea");
	check("up", rolename_target_file(".."), "%2E.");
	assert_true(strlen(cut) <= 255);
	assert_string_not_equal(cut, other);
}

TESTING_MAIN(cmocka_unit_test(roles_have_one_file_and_one_url),
	     cmocka_unit_test(some_names_are_no_delegated_roles),
	     cmocka_unit_test(targets_have_a_hash_in_their_name),
	     cmocka_unit_test(target_files_are_single_names), )
