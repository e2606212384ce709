#include "support/testing.h"

#include <string.h>

#include "common/jsondoc.h"

#define BYTES(text) span_of(text, sizeof(text) - 1)

static void reading_is_strict(void **state UNUSED)
{
	const struct {
		const char *why;
		struct span in;
		bool fine;
	} cases[] = {
		{ "an object", BYTES("{\"a\":[1,true,null,\"x\"]}"), true },
		{ "white space around", BYTES(" \t\r\n[] \n"), true },
		{ "UTF-8", BYTES("[\"n\xc3\xa4s \xf0\x9f\x93\xa6\"]"), true },
		{ "an escaped pair", BYTES("[\"\\ud83d\\udce6\"]"), true },
		{ "brackets in a text", BYTES("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"),
		  true },
		{ "a quote in a text", BYTES("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"),
		  true },
		{ "2^53", BYTES("[9007199254740992,-9007199254740992]"), true },
		{ "past 2^53", BYTES("[9007199254740993]"), false },
		{ "past -2^53", BYTES("{\"a\":{\"b\":-9007199254740993}}"), false },
		{ "past 2^63", BYTES("[9223372036854775808]"), false },
		{ "a real past all", BYTES("[1e999]"), false },
		{ "no number", BYTES("[NaN]"), false },
		{ "infinite", BYTES("[Infinity]"), false },
		{ "a leading zero", BYTES("[01]"), false },
		{ "a plus", BYTES("[+1]"), false },
		{ "a key twice", BYTES("{\"a\":1,\"a\":1}"), false },
		{ "a key twice, once escaped", BYTES("{\"a\":1,\"\\u0061\":2}"), false },
		{ "an escaped NUL", BYTES("[\"a\\u0000b\"]"), false },
		{ "an escaped NUL in a key", BYTES("{\"a\\u0000b\":1}"), false },
		{ "a NUL", BYTES("[\"a\0b\"]"), false },
		{ "a NUL behind", BYTES("[]\0"), false },
		{ "a control character", BYTES("[\"a\nb\"]"), false },
		{ "a lone continuation byte", BYTES("[\"\x80\"]"), false },
		{ "an overlong slash", BYTES("[\"\xc0\xaf\"]"), false },
		{ "a surrogate in UTF-8", BYTES("[\"\xed\xa0\x80\"]"), false },
		{ "half an escaped pair", BYTES("[\"\\ud83d\"]"), false },
		{ "past Unicode", BYTES("[\"\xf4\x90\x80\x80\"]"), false },
		{ "another document behind", BYTES("{} {}"), false },
		{ "a comma too many", BYTES("[1,]"), false },
		{ "a comment", BYTES("[] // x"), false },
		{ "an end in the middle", BYTES("{\"a\":"), false },
		{ "an end inside an escape", BYTES("[\"\\"), false },
		{ "a byte order mark", BYTES("\xef\xbb\xbf{}"), false },
		{ "UTF-16", BYTES("{\0}\0"), false },
		{ "white space alone", BYTES(" \n"), false },
		{ "nothing", BYTES(""), false },
		{ "a text alone", BYTES("\"x\""), false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_auto_t *doc = NULL;
		struct err err = { 0 };
		bool fine = jsondoc_read(&doc, cases[i].in, &err);

		if (fine != cases[i].fine)
			fail_msg("%s: %s", cases[i].why, fine ? "taken" : err.why);
		if (!fine)
			assert_int_equal(err.code, ERR_FORMAT);
	}
}

static bool reads_nested(unsigned int depth, char open, char close)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = NULL;
	struct err err;

	for (unsigned int i = 0; i < depth; i++)
		buf_printf(&text, open == '{' && i + 1 < depth ? "{\"a\":" : "%c", open);
	for (unsigned int i = 0; i < depth; i++)
		buf_put_u8(&text, (uint8_t)close);
	return jsondoc_read(&doc, buf_span(&text), &err);
}

static void nesting_has_a_limit(void **state UNUSED)
{
	assert_true(reads_nested(JSONDOC_DEPTH_MAX, '[', ']'));
	assert_true(reads_nested(JSONDOC_DEPTH_MAX, '{', '}'));
	assert_false(reads_nested(JSONDOC_DEPTH_MAX + 1, '[', ']'));
	assert_false(reads_nested(JSONDOC_DEPTH_MAX + 1, '{', '}'));
	assert_false(reads_nested(100000, '[', ']'));
}

static void the_canonical_form_is_the_one_that_is_signed(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ "keys are sorted", "{ \"b\" : 1, \"a\" : 2 }", "{\"a\":2,\"b\":1}" },
		{ "by bytes: capitals first", "{\"a\":1,\"B\":2,\"\":3,\"aa\":4}",
		  "{\"\":3,\"B\":2,\"a\":1,\"aa\":4}" },
		{ "by bytes: UTF-8 last", "{\"\\u00e4\":1,\"z\":2}", "{\"z\":2,\"\xc3\xa4\":1}" },
		{ "inside as well", "[{\"y\":{},\"x\":[]}]", "[{\"x\":[],\"y\":{}}]" },
		{ "only quote and backslash are escaped", "[\"a\\n\\t\\\"\\\\\\/\\u0001\"]",
		  "[\"a\n\t\\\"\\\\/\x01\"]" },
		{ "escapes at both ends", "[\"\\\"x\\\"\",\"\\\\\"]", "[\"\\\"x\\\"\",\"\\\\\"]" },
		{ "escaped characters become themselves", "[\"\\u00e4\"]", "[\"\xc3\xa4\"]" },
		{ "words and numbers", "[true,false,null,-5,0,9007199254740992]",
		  "[true,false,null,-5,0,9007199254740992]" },
		{ "a fraction", "{\"a\":1.5}", NULL },
		{ "a whole number written as a fraction", "[1.0]", NULL },
		{ "an exponent", "[1e3]", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(buf) struct buf out = { 0 };
		json_auto_t *doc = NULL;
		struct err err = { 0 };
		bool fine;

		assert_done(jsondoc_read(&doc, span_of_text(cases[i].in), &err), &err);
		fine = jsondoc_canonical(&out, doc, &err);
		if (fine != (cases[i].want != NULL) ||
		    (fine && strcmp(buf_text(&out), cases[i].want) != 0))
			fail_msg("%s: %s", cases[i].why, buf_text(&out));
		if (!fine)
			assert_int_equal(err.code, ERR_FORMAT);
	}
}

static void what_is_written_reads_back(void **state UNUSED)
{
	static const char text[] = "{\"a\":[1,-1,true,null,1.5],\"b\":\"q\\\"\\u0001\xc3\xa4\"}";
	SCOPED(buf) struct buf out = { 0 };
	json_auto_t *doc = NULL, *again = NULL;
	struct err err;

	assert_done(jsondoc_read(&doc, span_of_text(text), &err), &err);
	jsondoc_write(&out, doc);
	assert_string_equal(buf_text(&out), text);
	assert_done(jsondoc_read(&again, buf_span(&out), &err), &err);
	assert_true(json_equal(doc, again));
}

static void members_of_another_type_are_as_good_as_absent(void **state UNUSED)
{
	json_auto_t *doc = json_pack("{s:s,s:i,s:b,s:f,s:n,s:[]}", "text", "x", "int", 5, "flag", 1,
				     "real", 2.0, "null", "array");
	static const char *const keys[] = {
		"text", "int", "flag", "real", "null", "array", "none"
	};

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		const char *text = jsondoc_text(doc, keys[i]);

		assert_true((text != NULL) == (i == 0));
		assert_int_equal(jsondoc_int(doc, keys[i], -7), i == 1 ? 5 : -7);
		assert_true(jsondoc_flag(doc, keys[i], false) == (i == 2));
	}
	assert_null(jsondoc_text(NULL, "text"));
	assert_int_equal(jsondoc_int(NULL, "int", 3), 3);
}

static void a_needed_member_is_named_where_it_lacks(void **state UNUSED)
{
	json_auto_t *doc = json_pack("{s:s,s:i,s:[i,i],s:{}}", "text", "x", "int", 5, "array", 1, 2,
				     "object");
	struct err err = { 0 };
	const char *text;
	json_t *value;
	int64_t n;

	assert_done(jsondoc_need_text(&text, doc, "text", &err), &err);
	assert_done(jsondoc_need_int(&n, doc, "int", 5, 5, &err), &err);
	assert_done(jsondoc_need_array(&value, doc, "array", 2, &err), &err);
	assert_done(jsondoc_need_object(&value, doc, "object", &err), &err);
	assert_false(jsondoc_need_int(&n, doc, "int", 0, 4, &err));
	assert_int_equal(err.code, ERR_FORMAT);
	assert_non_null(strstr(err.why, "\"int\" is 5, outside 0 to 4"));
	assert_false(jsondoc_need_int(&n, doc, "int", 6, 9, &err));
	assert_false(jsondoc_need_array(&value, doc, "array", 1, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_false(jsondoc_need_text(&text, doc, "int", &err));
	assert_non_null(strstr(err.why, "\"int\""));
	assert_false(jsondoc_need_object(&value, doc, "array", &err));
	assert_false(jsondoc_need_array(&value, doc, "object", 9, &err));
	assert_false(jsondoc_need_int(&n, doc, "none", 0, 9, &err));
	assert_non_null(strstr(err.why, "\"none\""));
}

static void foreign_bytes_become_valid_text(void **state UNUSED)
{
	static const struct {
		const char *why, *in, *want;
	} cases[] = {
		{ "plain", "abc", "abc" },
		{ "UTF-8 stays", "\xc3\xa4", "\xc3\xa4" },
		{ "control characters stay: JSON escapes them", "a\nb", "a\nb" },
		{ "Latin-1", "n\xe4s", "n\\xe4s" },
		{ "an end in the middle of a character", "a\xf0\x9f", "a\\xf0\\x9f" },
		{ "nothing", "", "" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_auto_t *value = jsondoc_new_text(cases[i].in);

		if (strcmp(json_string_value(value), cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, json_string_value(value));
	}
}

static void members_are_set_by_type(void **state UNUSED)
{
	json_auto_t *doc = json_object();
	SCOPED(buf) struct buf out = { 0 };

	jsondoc_set_text(doc, "a", "x");
	jsondoc_set_text(doc, "b", NULL);
	jsondoc_set_int(doc, "c", INT64_MAX);
	jsondoc_set_flag(doc, "d", false);
	jsondoc_set_time(doc, "e", 0);
	jsondoc_set(doc, "a", json_true());
	jsondoc_write(&out, doc);
	assert_string_equal(buf_text(&out), "{\"a\":true,\"b\":null,\"c\":9223372036854775807,"
					    "\"d\":false,\"e\":\"1970-01-01T00:00:00Z\"}");
}

static void a_fault_survives_the_way_between_processes(void **state UNUSED)
{
	struct err sent = { 0 }, got = { 0 };
	json_auto_t *object = NULL, *bare = json_object();

	err_set(&sent, ERR_NO_CANDIDATE, "all three are \"gone\"\nreally");
	err_what(&sent, "cannot fetch %s", "LON00001");
	err_fix(&sent, "wait");
	object = jsondoc_new_error(&sent);
	assert_false(jsondoc_take_error(&got, object));
	assert_int_equal(got.code, sent.code);
	assert_string_equal(got.what, sent.what);
	assert_string_equal(got.why, sent.why);
	assert_string_equal(err_fix_text(&got), "wait");
	/* The other process may be of another version, or worse. */
	assert_false(jsondoc_take_error(&got, bare));
	assert_int_equal(got.code, ERR_INTERNAL);
	assert_false(jsondoc_take_error(&got, NULL));
	assert_int_equal(got.code, ERR_INTERNAL);
}

TESTING_MAIN(cmocka_unit_test(reading_is_strict), cmocka_unit_test(nesting_has_a_limit),
	     cmocka_unit_test(the_canonical_form_is_the_one_that_is_signed),
	     cmocka_unit_test(what_is_written_reads_back),
	     cmocka_unit_test(members_of_another_type_are_as_good_as_absent),
	     cmocka_unit_test(a_needed_member_is_named_where_it_lacks),
	     cmocka_unit_test(foreign_bytes_become_valid_text),
	     cmocka_unit_test(members_are_set_by_type),
	     cmocka_unit_test(a_fault_survives_the_way_between_processes))
