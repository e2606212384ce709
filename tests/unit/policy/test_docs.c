#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/testing.h"

#include "common/alloc.h"
#include "common/path.h"
#include "policy/docs.h"

static struct span load(struct buf *bytes, const char *name)
{
	SCOPED_TEXT char *path = path_join3(getenv("PACKWAY_TEST_DATA"), "policy", name);
	struct err err;

	assert_done(path_read(bytes, path, DOCS_SIZE_MAX, &err), &err);
	return buf_span(bytes);
}

/* Parse bytes as the kind that `name` begins with; false with the fault if refused. */
static bool parse_and_write(struct buf *out, const char *name, struct span bytes, struct err *err)
{
#define AS(prefix, kind)                                            \
	if (strncmp(name, prefix, strlen(prefix)) == 0) {           \
		SCOPED(docs_##kind) struct docs_##kind doc = { 0 }; \
                                                                    \
		if (!docs_##kind##_parse(&doc, bytes, err))         \
			return false;                               \
		docs_##kind##_write(out, &doc);                     \
		return true;                                        \
	}
	AS("site", site)
	AS("group", group)
	AS("package", package)
	AS("location", location)
	AS("advertisements", advertisements)
	AS("collections", collections)
	AS("members", collections)
#undef AS
	fail_msg("no kind for %s", name);
	return false;
}

static const char *const names[] = {
	"site.json",           "group.json",       "package.json", "location.json",
	"advertisements.json", "collections.json", "members.json",
};

static void what_is_written_parses_to_the_same(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		SCOPED(buf) struct buf once = { 0 };
		SCOPED(buf) struct buf twice = { 0 };
		struct err err;

		load(&bytes, names[i]);
		assert_done(parse_and_write(&once, names[i], buf_span(&bytes), &err), &err);
		assert_done(parse_and_write(&twice, names[i], buf_span(&once), &err), &err);
		assert_string_equal(buf_text(&once), buf_text(&twice));
	}
}

static void each_truncation_is_refused(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		SCOPED(buf) struct buf out = { 0 };
		struct err err;

		load(&bytes, names[i]);
		while (bytes.size > 0 && bytes.data[bytes.size - 1] == '\n')
			bytes.size--;
		for (size_t n = 0; n < bytes.size; n++)
			if (parse_and_write(&out, names[i], span_of(bytes.data, n), &err))
				fail_msg("%s: %zu bytes of it were taken", names[i], n);
	}
}

static void hostile_members_are_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *name, *from, *to;
	} cases[] = {
		{ "a format of the future", "site.json", "\"format\":1", "\"format\":2" },
		{ "a system's name that is a path", "site.json", "\"dp1\"", "\"../x\"" },
		{ "a UUID with capitals", "site.json", "89ab-4cde", "89AB-4CDE" },
		{ "a network with host bits", "group.json", "10.1.0.0/16", "10.1.0.1/16" },
		{ "an endless neighbour", "group.json", "120", "99999999999" },
		{ "an id that is a path", "package.json", "LON00001", "../00001" },
		{ "version 0", "package.json", "\"version\":2", "\"version\":0" },
		{ "a rerun of another kind", "package.json", "on-failure", "sometimes" },
		{ "an index that is a path", "location.json", "\"2-ab", "\"2-/b" },
		{ "a bin out of range", "advertisements.json", "\"bin\":\"", "\"bin\":\"f" },
		{ "an item of another bin", "advertisements.json", "LON20001", "LON20002" },
		{ "an hour that is none", "advertisements.json", "22:00-", "25:00-" },
		{ "a group with a path", "advertisements.json", "staff", "st/ff" },
		{ "more than all", "members.json", "\"percent\":10", "\"percent\":101" },
		{ "a salt of other length", "members.json", "\"salt\":\"ab", "\"salt\":\"" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(buf) struct buf bytes = { 0 };
		SCOPED(buf) struct buf changed = { 0 };
		SCOPED(buf) struct buf out = { 0 };
		const char *at;
		struct err err;

		load(&bytes, cases[i].name);
		at = strstr(buf_text(&bytes), cases[i].from);
		assert_non_null(at);
		buf_put(&changed, bytes.data, (size_t)(at - (char *)bytes.data));
		buf_put_text(&changed, cases[i].to);
		buf_put_text(&changed, at + strlen(cases[i].from));
		if (parse_and_write(&out, cases[i].name, buf_span(&changed), &err))
			fail_msg("%s was taken", cases[i].why);
		assert_string_not_equal(err.why, "");
	}
}

static void bins_are_stable(void **state UNUSED)
{
	unsigned int seen[DOCS_BINS] = { 0 };
	char id[9];

	assert_int_equal(docs_bin("LON20001"), docs_bin("LON20001"));
	for (unsigned int i = 0; i < 6400; i++) {
		snprintf(id, sizeof(id), "LON%05X", i);
		seen[docs_bin(id)]++;
	}
	for (size_t i = 0; i < DOCS_BINS; i++)
		assert_in_range(seen[i], 50, 160);
}

static void member_hashes_depend_on_salt_and_client(void **state UNUSED)
{
	char a[65], b[65], c[65];

	docs_member_hash(a, "00112233445566778899aabbccddeeff", "0123456789abcdef0123456789abcdef");
	docs_member_hash(b, "00112233445566778899aabbccddeefe", "0123456789abcdef0123456789abcdef");
	docs_member_hash(c, "00112233445566778899aabbccddeeff", "0123456789abcdef0123456789abcdee");
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
}

TESTING_MAIN(cmocka_unit_test(what_is_written_parses_to_the_same),
	     cmocka_unit_test(each_truncation_is_refused),
	     cmocka_unit_test(hostile_members_are_refused), cmocka_unit_test(bins_are_stable),
	     cmocka_unit_test(member_hashes_depend_on_salt_and_client), )
