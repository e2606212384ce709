#include "support/testing.h"

#include <string.h>

#include "common/text.h"

static void control_characters_are_escaped(void **state UNUSED)
{
	static const struct {
		const char *why, *in, *want;
	} cases[] = {
		{ "plain text stays", "plain", "plain" },
		{ "a newline cannot forge a log line", "a\nb", "a\\nb" },
		{ "an escape sequence never reaches the terminal", "\x1b[31m", "\\x1b[31m" },
		{ "UTF-8 stays", "n\xc3\xa4s", "n\xc3\xa4s" },
		{ "a lone continuation byte is shown", "\x80", "\\x80" },
		{ "a C1 control is shown byte by byte", "\xc2\x9b", "\\xc2\\x9b" },
		{ "what turns its neighbours is shown",
		  "a\xe2\x80\xae"
		  "b",
		  "a\\xe2\\x80\\xaeb" },
		{ "what cannot be seen is shown",
		  "a\xe2\x80\x8b"
		  "b",
		  "a\\xe2\\x80\\x8bb" },
		{ "a separator of lines is shown", "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
		{ "letters that join stay", "\xe2\x80\x8d", "\xe2\x80\x8d" },
		{ "overlong forms are no UTF-8", "\xc0\xaf", "\\xc0\\xaf" },
	};
	char out[64];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		text_escape_line(out, sizeof(out), cases[i].in);
		if (strcmp(out, cases[i].want) != 0)
			fail_msg("%s: got \"%s\"", cases[i].why, out);
	}
}

static void sizes_are_read(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		bool fine;
		uint64_t want;
	} cases[] = {
		{ "bytes", "10", true, 10 },
		{ "powers of ten", "2MB/s", true, 2000000 },
		{ "powers of two", "4KiB", true, 4096 },
		{ "fractions", "1.5K", true, 1500 },
		{ "no number", "MB", false, 0 },
		{ "something behind", "10Mx", false, 0 },
		{ "past 2^63", "99999999999T", false, 0 },
		{ "negative", "-1", false, 0 },
		{ "empty", "", false, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t got = 0;
		bool fine = text_size(&got, cases[i].in);

		if (fine != cases[i].fine || got != cases[i].want)
			fail_msg("%s: %s", cases[i].why, cases[i].in);
	}
}

static void what_does_not_fit_whole_is_left_out(void **state UNUSED)
{
	char out[8];

	text_escape_line(out, sizeof(out), "1234567890");
	assert_string_equal(out, "1234567");
	text_escape_line(out, sizeof(out), "123456\n");
	assert_string_equal(out, "123456");
	text_escape_line(out, sizeof(out), "123456\xc3\xa4");
	assert_string_equal(out, "123456");
	text_escape_line(out, sizeof(out), "1234\x80");
	assert_string_equal(out, "1234");
	text_escape_line(out, 1, "x");
	assert_string_equal(out, "");
	text_escape_span(out, sizeof(out), span_of("a\0b", 3));
	assert_string_equal(out, "a\\x00b");
}

static void whole_numbers_are_read_strictly(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		uint64_t min, max;
		bool fine;
		uint64_t want;
	} cases[] = {
		{ "zero", "0", 0, 9, true, 0 },
		{ "leading zeros", "007", 0, 9, true, 7 },
		{ "the greatest", "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "past the greatest", "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "far past it", "99999999999999999999999", 0, UINT64_MAX, false, 0 },
		{ "below the least", "1", 2, 9, false, 0 },
		{ "at the least", "2", 2, 9, true, 2 },
		{ "above the most", "10", 2, 9, false, 0 },
		{ "a sign", "+1", 0, 9, false, 0 },
		{ "negative", "-1", 0, UINT64_MAX, false, 0 },
		{ "a space before", " 1", 0, 9, false, 0 },
		{ "a newline behind", "1\n", 0, 9, false, 0 },
		{ "hexadecimal", "0x1", 0, 9, false, 0 },
		{ "digits of another script", "\xd9\xa1", 0, 9, false, 0 },
		{ "nothing", "", 0, 9, false, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t got = 0;
		bool fine = text_u64(&got, cases[i].in, cases[i].min, cases[i].max);

		if (fine != cases[i].fine || got != cases[i].want)
			fail_msg("%s: \"%s\"", cases[i].why, cases[i].in);
	}
}

static void durations_are_read(void **state UNUSED)
{
	static const struct {
		const char *in;
		bool fine;
		uint64_t want;
	} cases[] = {
		{ "90", true, 90 },     { "90s", true, 90 },
		{ "10m", true, 600 },   { "10min", true, 600 },
		{ "1.5h", true, 5400 }, { "2d", true, 172800 },
		{ "0", true, 0 },       { "2w", false, 0 },
		{ "1h30m", false, 0 },  { "h", false, 0 },
		{ "", false, 0 },       { "-1s", false, 0 },
		{ "1 h", false, 0 },    { "1H", false, 0 },
		{ "1.h", false, 0 },    { "99999999999999999999d", false, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t got = 0;

		if (text_duration(&got, cases[i].in) != cases[i].fine || got != cases[i].want)
			fail_msg("\"%s\": %llu", cases[i].in, (unsigned long long)got);
	}
}

static void names_and_ids_have_their_alphabets(void **state UNUSED)
{
	static const char at_most[] =
		"a123456789b123456789c123456789d123456789e123456789f123456789g123";
	static const struct {
		bool (*is)(const char *);
		const char *in;
		bool want;
	} cases[] = {
		{ text_is_name, "dp1", true },
		{ text_is_name, "7-zip_1.0", true },
		{ text_is_name, at_most, true },
		{ text_is_name, "a123456789b123456789c123456789d123456789e123456789f123456789g1234",
		  false },
		{ text_is_name, "", false },
		{ text_is_name, ".", false },
		{ text_is_name, "..", false },
		{ text_is_name, ".hidden", false },
		{ text_is_name, "-rf", false },
		{ text_is_name, "a/b", false },
		{ text_is_name, "a b", false },
		{ text_is_name, "a\nb", false },
		{ text_is_name, "n\xc3\xa4s", false },
		{ text_is_object_id, "LON0001F", true },
		{ text_is_object_id, "1230001F", true },
		{ text_is_object_id, "lon0001F", false },
		{ text_is_object_id, "LON0001f", false },
		{ text_is_object_id, "LON0001G", false },
		{ text_is_object_id, "LON0001", false },
		{ text_is_object_id, "LON0001F0", false },
		{ text_is_object_id, "../0001F", false },
		{ text_is_client_id, "0123456789abcdef0123456789abcdef", true },
		{ text_is_client_id, "0123456789ABCDEF0123456789abcdef", false },
		{ text_is_client_id, "0123456789abcdef0123456789abcde", false },
		{ text_is_client_id, "0123456789abcdef0123456789abcdeg", false },
		{ text_is_client_id, "", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (cases[i].is(cases[i].in) != cases[i].want)
			fail_msg("\"%s\"", cases[i].in);
}

static void case_is_that_of_ascii_alone(void **state UNUSED)
{
	assert_true(text_equal_nocase("Server-1", "sERVER-1"));
	assert_true(text_equal_nocase("", ""));
	assert_false(text_equal_nocase("a", "ab"));
	assert_false(text_equal_nocase("ab", "a"));
	assert_false(text_equal_nocase("[", "{"));
	assert_false(text_equal_nocase("\xc3\x84", "\xc3\xa4"));
}

static void sizes_are_printed_for_people(void **state UNUSED)
{
	static const struct {
		uint64_t in;
		const char *want;
	} cases[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.0 kB" },
		{ 999949, "999.9 kB" },
		{ 999950, "1.0 MB" },
		{ 20400000, "20.4 MB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char out[32];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		text_print_size(out, cases[i].in);
		assert_string_equal(out, cases[i].want);
	}
}

static void what_nobody_sees_is_blank(void **state UNUSED)
{
	static const struct {
		const char *in;
		bool want;
	} cases[] = {
		{ "", true },
		{ " ", true },
		{ "\t \r\n", true },
		{ "\xc2\xa0", true },                 /* no-break space */
		{ "\xe3\x80\x80 ", true },            /* ideographic space */
		{ "\xe2\x80\x8b\xe2\x80\x8d", true }, /* zero width space and joiner */
		{ "\xe2\xa0\x80", true },             /* a Braille cell without dots */
		{ " a ", false },
		{ ".", false },
		{ "\xc3\xa4", false },
		{ "\xa0", false }, /* no UTF-8: something is shown */
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (text_is_blank(cases[i].in) != cases[i].want)
			fail_msg("case %zu", i);
}

TESTING_MAIN(cmocka_unit_test(control_characters_are_escaped),
	     cmocka_unit_test(what_does_not_fit_whole_is_left_out),
	     cmocka_unit_test(sizes_are_read), cmocka_unit_test(whole_numbers_are_read_strictly),
	     cmocka_unit_test(durations_are_read),
	     cmocka_unit_test(names_and_ids_have_their_alphabets),
	     cmocka_unit_test(case_is_that_of_ascii_alone),
	     cmocka_unit_test(sizes_are_printed_for_people),
	     cmocka_unit_test(what_nobody_sees_is_blank))
