#include "support/testing.h"

#include <string.h>

#include "nal/httpanswer.h"

static void content_ranges_are_read_strictly(void **state UNUSED)
{
	static const struct {
		const char *why, *text;
		bool fine;
		uint64_t first, last, total;
	} cases[] = {
		{ "the usual form", "bytes 0-99/1000", true, 0, 99, 1000 },
		{ "an unknown total", "bytes 5-5/*", true, 5, 5, UINT64_MAX },
		{ "the whole", "bytes 0-0/1", true, 0, 0, 1 },
		{ "backwards", "bytes 9-5/10", false, 0, 0, 0 },
		{ "past the total", "bytes 0-10/10", false, 0, 0, 0 },
		{ "not satisfied", "bytes */10", false, 0, 0, 0 },
		{ "another unit", "items 0-1/2", false, 0, 0, 0 },
		{ "something behind", "bytes 0-1/2 ", false, 0, 0, 0 },
		{ "a sign", "bytes -1-2/3", false, 0, 0, 0 },
		{ "too large", "bytes 0-99999999999999999999/*", false, 0, 0, 0 },
		{ "empty", "", false, 0, 0, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct httpanswer_range r = { 0 };
		bool fine = httpanswer_range(&r, cases[i].text);

		if (fine != cases[i].fine ||
		    (fine && (r.first != cases[i].first || r.last != cases[i].last ||
			      r.total != cases[i].total)))
			fail_msg("%s: %s", cases[i].why, cases[i].text);
	}
}

static void tokens_come_back_as_conditions(void **state UNUSED)
{
	static const struct {
		const char *why, *etag, *date, *token, *header;
	} cases[] = {
		{ "an entity tag", "\"5f-2\"", "Sun", "etag:\"5f-2\"", "If-None-Match: \"5f-2\"" },
		{ "a date where there is none", NULL, "Sun, 06 Nov", "date:Sun, 06 Nov",
		  "If-Modified-Since: Sun, 06 Nov" },
		{ "neither", NULL, NULL, "", NULL },
		{ "a header cannot be smuggled in", "\"a\"\r\nX: y", NULL, "", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char token[WAY_TOKEN_SIZE], header[WAY_TOKEN_SIZE + 32] = "";
		bool fine;

		httpanswer_token(token, cases[i].etag, cases[i].date);
		fine = httpanswer_condition(header, token);
		if (strcmp(token, cases[i].token) != 0 || fine != (cases[i].header != NULL) ||
		    (fine && strcmp(header, cases[i].header) != 0))
			fail_msg("%s: %s, %s", cases[i].why, token, header);
	}
}

static void foreign_tokens_are_no_conditions(void **state UNUSED)
{
	static const char *const tokens[] = { "stat:5-6", "etag:", "etag:a\nb", "x" };
	char header[WAY_TOKEN_SIZE + 32], large[WAY_TOKEN_SIZE + 9], etag[WAY_TOKEN_SIZE];

	for (size_t i = 0; i < COUNT_OF(tokens); i++)
		assert_false(httpanswer_condition(header, tokens[i]));
	memset(large, 'e', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	httpanswer_token(etag, large, NULL);
	assert_string_equal(etag, "");
	memcpy(large, "etag:", 5);
	assert_false(httpanswer_condition(header, large));
}

static void each_status_has_its_class(void **state UNUSED)
{
	static const struct {
		long status;
		enum nal_class class;
	} cases[] = {
		{ 200, NAL_CLASS_OK },        { 304, NAL_CLASS_OK },
		{ 404, NAL_CLASS_NOT_FOUND }, { 403, NAL_CLASS_DENIED },
		{ 401, NAL_CLASS_DENIED },    { 429, NAL_CLASS_BUSY },
		{ 503, NAL_CLASS_BUSY },      { 412, NAL_CLASS_CONFLICT },
		{ 302, NAL_CLASS_PROTOCOL },  { 416, NAL_CLASS_PROTOCOL },
		{ 500, NAL_CLASS_UNKNOWN },   { 507, NAL_CLASS_FULL },
		{ 0, NAL_CLASS_PROTOCOL },
	};
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(httpanswer_class(cases[i].status, &err), cases[i].class);
}

TESTING_MAIN(cmocka_unit_test(content_ranges_are_read_strictly),
	     cmocka_unit_test(tokens_come_back_as_conditions),
	     cmocka_unit_test(foreign_tokens_are_no_conditions),
	     cmocka_unit_test(each_status_has_its_class), )
