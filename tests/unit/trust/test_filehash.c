#include "support/testing.h"

#include "common/span.h"
#include "trust/filehash.h"

#define SHA256_OF_X "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
#define SHA224_OF_X "54a2f7f92a5f975d8096af77a126edda7da60c5aa872ef1b871701ae"

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	return value;
}

static void every_known_hash_must_match(void **state UNUSED)
{
	static const struct {
		const char *why, *hashes;
		bool fine, matches;
	} rows[] = {
		{ "the hash", "{\"sha256\":\"" SHA256_OF_X "\"}", true, true },
		{ "two hashes", "{\"sha256\":\"" SHA256_OF_X "\",\"sha224\":\"" SHA224_OF_X "\"}",
		  true, true },
		{ "one of two is wrong",
		  "{\"sha256\":\"" SHA256_OF_X "\",\"sha224\":"
		  "\"00a2f7f92a5f975d8096af77a126edda7da60c5aa872ef1b871701ae\"}",
		  true, false },
		{ "an unknown one beside", "{\"md9\":\"00\",\"sha256\":\"" SHA256_OF_X "\"}", true,
		  true },
		{ "an unknown one alone", "{\"md9\":\"00\"}", true, false },
		{ "none", "{}", false, false },
		{ "no object", "[]", false, false },
		{ "no text", "{\"sha256\":1}", false, false },
		{ "too short", "{\"sha256\":\"2d71\"}", false, false },
		{ "upper case",
		  "{\"sha256\":"
		  "\"2D711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\"}",
		  false, false },
		{ "a path in place of a hash", "{\"odd\":\"../../x\"}", false, false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		json_auto_t *hashes = parse(rows[i].hashes);
		struct err err;

		if (filehash_is_fine(hashes, &err) != rows[i].fine ||
		    filehash_matches(hashes, span_of_text("x")) != rows[i].matches)
			fail_msg("%s", rows[i].why);
	}
}

static void names_prefer_sha256(void **state UNUSED)
{
	json_auto_t *both = parse("{\"sha224\":\"a\",\"sha256\":\"b\"}");
	json_auto_t *one = parse("{\"sha512\":\"c\"}");

	assert_string_equal(filehash_for_name(both), "b");
	assert_string_equal(filehash_for_name(one), "c");
}

TESTING_MAIN(cmocka_unit_test(every_known_hash_must_match), cmocka_unit_test(names_prefer_sha256), )
