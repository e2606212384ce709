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

TESTING_MAIN(cmocka_unit_test(control_characters_are_escaped), cmocka_unit_test(sizes_are_read), )
