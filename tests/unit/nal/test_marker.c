#include "support/testing.h"

#include <string.h>

#include "nal/marker.h"

#define UUID "0f8fad5b-d9cb-469f-a165-70867728950e"

static void a_marker_reads_back(void **state UNUSED)
{
	static const struct marker cap = {
		.kind = MARKER_CAP, .site = "LON", .uuid = UUID, .name = "cap1"
	};
	SCOPED(buf) struct buf text = { 0 };
	struct marker back;
	struct err err = { 0 };

	marker_write(&text, &cap);
	assert_string_equal(buf_text(&text), "{\"format\":1,\"kind\":\"cap\",\"name\":\"cap1\","
					     "\"site\":\"LON\",\"uuid\":\"" UUID "\"}");
	assert_done(marker_parse(&back, buf_span(&text), &err), &err);
	assert_memory_equal(&back, &cap, sizeof(cap));
	assert_true(marker_is(&back, "0F8FAD5B-d9cb-469f-a165-70867728950e"));
	assert_false(marker_is(&back, "1f8fad5b-d9cb-469f-a165-70867728950e"));
}

static void what_is_no_marker_is_refused(void **state UNUSED)
{
	static const struct {
		const char *why, *text;
		bool fine;
	} cases[] = {
		{ "unknown members are ignored",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"LON\",\"uuid\":\"" UUID
		  "\",\"name\":\"a\",\"x\":[]}",
		  true },
		{ "a later format",
		  "{\"format\":2,\"kind\":\"dp\",\"site\":\"LON\",\"uuid\":\"" UUID
		  "\",\"name\":\"a\"}",
		  false },
		{ "another kind",
		  "{\"format\":1,\"kind\":\"pub\",\"site\":\"LON\",\"uuid\":\"" UUID
		  "\",\"name\":\"a\"}",
		  false },
		{ "a site code in lower case",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"lon\",\"uuid\":\"" UUID
		  "\",\"name\":\"a\"}",
		  false },
		{ "a long site code",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"LOND\",\"uuid\":\"" UUID
		  "\",\"name\":\"a\"}",
		  false },
		{ "a short UUID",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"LON\",\"uuid\":\"0f8fad5b\",\"name\":\"a\"}",
		  false },
		{ "a UUID without its dashes",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"LON\","
		  "\"uuid\":\"0f8fad5bxd9cb-469f-a165-70867728950e\",\"name\":\"a\"}",
		  false },
		{ "a name with a slash",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"LON\",\"uuid\":\"" UUID
		  "\",\"name\":\"a/b\"}",
		  false },
		{ "no name",
		  "{\"format\":1,\"kind\":\"dp\",\"site\":\"LON\",\"uuid\":\"" UUID "\"}", false },
		{ "an array", "[]", false },
		{ "an error page", "<html>", false },
		{ "empty", "", false },
	};
	struct marker m;
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (marker_parse(&m, span_of_text(cases[i].text), &err) != cases[i].fine)
			fail_msg("%s", cases[i].why);
}

static void a_large_file_is_no_marker(void **state UNUSED)
{
	static const char large[MARKER_BYTES_MAX + 1];
	struct marker m;
	struct err err = { 0 };

	assert_false(marker_parse(&m, span_of(large, sizeof(large)), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

TESTING_MAIN(cmocka_unit_test(a_marker_reads_back), cmocka_unit_test(what_is_no_marker_is_refused),
	     cmocka_unit_test(a_large_file_is_no_marker), )
