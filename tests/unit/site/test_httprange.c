/* Ranges and conditions of HTTP. */
#include "site/httprange.h"

#include <string.h>

#include "support/testing.h"

static void ranges_are_read_as_http_says(void **state UNUSED)
{
	static const struct {
		const char *why, *header;
		uint64_t total;
		enum httprange_result want;
		uint64_t first, size;
	} cases[] = {
		{ "none", NULL, 10, HTTPRANGE_WHOLE, 0, 0 },
		{ "both ends", "bytes=2-4", 10, HTTPRANGE_PART, 2, 3 },
		{ "open end", "bytes=2-", 10, HTTPRANGE_PART, 2, 8 },
		{ "an end past the end", "bytes=2-99", 10, HTTPRANGE_PART, 2, 8 },
		{ "the last bytes", "bytes=-3", 10, HTTPRANGE_PART, 7, 3 },
		{ "more last bytes than there are", "bytes=-30", 10, HTTPRANGE_PART, 0, 10 },
		{ "no last bytes", "bytes=-0", 10, HTTPRANGE_UNSATISFIABLE, 0, 0 },
		{ "a start at the end", "bytes=10-", 10, HTTPRANGE_UNSATISFIABLE, 0, 0 },
		{ "an empty object", "bytes=0-", 0, HTTPRANGE_UNSATISFIABLE, 0, 0 },
		{ "several", "bytes=0-1,3-4", 10, HTTPRANGE_WHOLE, 0, 0 },
		{ "backwards", "bytes=4-2", 10, HTTPRANGE_WHOLE, 0, 0 },
		{ "another unit", "lines=1-2", 10, HTTPRANGE_WHOLE, 0, 0 },
		{ "no number", "bytes=a-b", 10, HTTPRANGE_WHOLE, 0, 0 },
		{ "a number too large", "bytes=99999999999999999999-", 10, HTTPRANGE_WHOLE, 0, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t first = 0, size = 0;
		enum httprange_result got = httprange_parse(&first, &size, cases[i].header,
							    cases[i].total);

		if (got != cases[i].want || first != cases[i].first || size != cases[i].size)
			fail_msg("%s: %d, %llu + %llu", cases[i].why, (int)got,
				 (unsigned long long)first, (unsigned long long)size);
	}
}

static void etags_are_found_in_lists(void **state UNUSED)
{
	assert_true(httprange_etag_matches("\"a\"", "\"a\""));
	assert_true(httprange_etag_matches("\"b\", W/\"a\"", "\"a\""));
	assert_true(httprange_etag_matches("*", "\"a\""));
	assert_false(httprange_etag_matches("\"ab\"", "\"a\""));
	assert_false(httprange_etag_matches("", "\"a\""));
}

TESTING_MAIN(cmocka_unit_test(ranges_are_read_as_http_says),
	     cmocka_unit_test(etags_are_found_in_lists))
