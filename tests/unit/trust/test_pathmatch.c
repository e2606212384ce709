#include "support/testing.h"

#include <string.h>
#include <time.h>

#include "trust/pathmatch.h"

static void patterns_match_whole_paths(void **state UNUSED)
{
	static const struct {
		const char *why, *pattern, *path;
		bool want;
	} rows[] = {
		{ "plain text", "a/b.txt", "a/b.txt", true },
		{ "case counts", "A", "a", false },
		{ "the whole path, not its beginning", "a", "ab", false },
		{ "the whole pattern", "ab", "a", false },
		{ "nothing matches nothing", "", "", true },
		{ "nothing matches no more", "", "a", false },
		{ "a star for many", "*.txt", "notes.txt", true },
		{ "a star for none", "a*b", "ab", true },
		{ "a star for a dot file", "*", ".hidden", true },
		{ "a star stops at a slash", "*", "a/b", false },
		{ "a star for nothing beside a slash", "a/*", "a/", true },
		{ "a star in each part", "*/*", "a/b", true },
		{ "as many parts as the pattern", "*/*", "a/b/c", false },
		{ "two stars are as one", "**", "a/b", false },
		{ "two stars in one part", "*a*b", "xaxab", true },
		{ "a star gives back what it took", "*ab", "aab", true },
		{ "an earlier star is not needed again", "*/x*y", "aa/xyxz", false },
		{ "a question mark for one", "a?c", "abc", true },
		{ "not for none", "a?c", "ac", false },
		{ "not for a slash", "a?c", "a/c", false },
		{ "one character may be several bytes", "a?c",
		  "a\xc3\xb6"
		  "c",
		  true },
		{ "a set", "[abc]1", "b1", true },
		{ "a range", "[a-f]1", "d1", true },
		{ "outside the range", "[a-f]1", "g1", false },
		{ "a negated set", "[!a-f]1", "g1", true },
		{ "a negated set holds no slash", "a[!b]c", "a/c", false },
		{ "a set that begins with a bracket", "[]x]", "]", true },
		{ "a dash at the end is a dash", "[a-]", "-", true },
		{ "a bracket without end is itself", "[a", "[a", true },
		{ "a set does not span parts", "[a/b]", "a", false },
		{ "backslash is itself", "a\\*", "a\\bc", true },
		{ "backslash escapes nothing", "\\*", "*", false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (pathmatch_glob(rows[i].pattern, rows[i].path) != rows[i].want)
			fail_msg("%s: %s on %s", rows[i].why, rows[i].pattern, rows[i].path);
}

/* Backtracking into earlier stars would take longer than the universe has. */
static void hostile_patterns_take_no_time(void **state UNUSED)
{
	char pattern[2001], path[2001];
	clock_t before = clock();

	for (size_t i = 0; i < 2000; i++)
		pattern[i] = i % 2 == 0 ? '*' : 'a';
	memset(path, 'a', 2000);
	pattern[1999] = 'b';
	pattern[2000] = path[2000] = '\0';
	assert_false(pathmatch_glob(pattern, path));
	assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
}

TESTING_MAIN(cmocka_unit_test(patterns_match_whole_paths),
	     cmocka_unit_test(hostile_patterns_take_no_time), )
