#include "support/testing.h"

#include <string.h>

#include "common/buf.h"
#include "nal/regfile.h"

static void utf16(struct buf *out, const char *text)
{
	buf_put(out, "\xff\xfe", 2);
	for (; *text != '\0'; text++)
		buf_put_u16(out, (uint8_t)*text);
}

static const char body[] = "\r\n\r\n; a comment\r\n[HKEY_LOCAL_MACHINE\\A]\r\n"
			   "@=\"default\"\r\n"
			   "\"a \\\"b\\\" \\\\c\\\\\"=\"C:\\\\x\"\r\n"
			   "\"number\"=dword:0000002a\r\n"
			   "\"bytes\"=hex:01,02,\\\r\n  03,04\r\n"
			   "\"four\"=hex(4):2a,00,00,80\r\n"
			   "\"expand\"=hex(2):25,00,\\\r\n  00,00\r\n"
			   "\"gone\"=-\r\n"
			   "\r\n[-HKEY_LOCAL_MACHINE\\Gone]\r\n\"x\"=\"y\"\r\n"
			   "[HKEY_LOCAL_MACHINE\\B]\r\n\"last\"=\"\"";

static void check_body(struct span bytes)
{
	SCOPED(regfile) struct regfile f = { 0 };
	struct err err;

	assert_done(regfile_read(&f, bytes, &err), &err);
	assert_int_equal(f.count, 7);
	assert_string_equal(f.values[0].name, "");
	assert_string_equal(f.values[0].text, "default");
	assert_string_equal(f.values[0].key, "HKEY_LOCAL_MACHINE\\A");
	assert_string_equal(f.values[1].name, "a \"b\" \\c\\");
	assert_string_equal(f.values[1].text, "C:\\x");
	assert_int_equal(f.values[2].number, 42);
	assert_int_equal(f.values[3].type, REGFILE_OTHER);
	assert_int_equal(f.values[4].number, 0x8000002au);
	assert_int_equal(f.values[5].type, REGFILE_OTHER);
	assert_string_equal(f.values[6].key, "HKEY_LOCAL_MACHINE\\B");
	assert_string_equal(f.values[6].name, "last");
}

static void both_kinds_of_export_say_the_same(void **state UNUSED)
{
	SCOPED(buf) struct buf old = { 0 }, new = { 0 }, wide = { 0 };

	buf_printf(&old, "REGEDIT4%s", body);
	check_body(buf_span(&old));
	buf_printf(&new, "Windows Registry Editor Version 5.00%s", body);
	check_body(buf_span(&new));
	utf16(&wide, buf_text(&new));
	check_body(buf_span(&wide));
	check_body(span_skip(buf_span(&wide), 2));
}

static void other_scripts_become_utf8(void **state UNUSED)
{
	static const char latin[] = "REGEDIT4\n[k]\n\"caf\xe9 \x80\"=\"\"";
	static const uint8_t wide[] = { '"', 0, 0xac, 0x20, 0x3d, 0xd8, 0x00, 0xde,
					'"', 0, '=',  0,    '"',  0,    '"',  0 };
	SCOPED(regfile) struct regfile f = { 0 }, g = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	assert_done(regfile_read(&f, span_of_text(latin), &err), &err);
	assert_string_equal(f.values[0].name, "caf\xc3\xa9 \xe2\x82\xac");
	utf16(&bytes, "REGEDIT4\n[k]\n");
	buf_put(&bytes, wide, sizeof(wide));
	assert_done(regfile_read(&g, buf_span(&bytes), &err), &err);
	assert_string_equal(g.values[0].name, "\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void malformed_exports_are_refused_with_their_line(void **state UNUSED)
{
	static const struct {
		const char *why, *text, *want;
	} cases[] = {
		{ "nothing", "", "no registry export" },
		{ "something else", "[k]\n", "no registry export" },
		{ "a value before a key", "REGEDIT4\n\"a\"=\"b\"\n", "line 2" },
		{ "a bracket left open", "REGEDIT4\n[k\n", "line 3" },
		{ "a quote left open", "REGEDIT4\n[k]\n\"a", "line 3" },
		{ "no equals sign", "REGEDIT4\n[k]\n\"a\" b\n", "line 3" },
		{ "an unknown kind", "REGEDIT4\n[k]\n\"a\"=qword:1\n", "line 3" },
		{ "no digits", "REGEDIT4\n[k]\n\"a\"=dword:x\n", "line 3" },
		{ "something behind a value", "REGEDIT4\n[k]\n\n\"a\"=\"b\" c\n", "line 4" },
		{ "a word alone", "REGEDIT4\n[k]\nword\n", "line 3" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct regfile f = { 0 };
		struct err err = { 0 };

		if (regfile_read(&f, span_of_text(cases[i].text), &err))
			fail_msg("%s: taken", cases[i].why);
		if (err.code != ERR_FORMAT || strstr(err.why, cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].why, err.why);
		assert_null(f.values);
	}
}

static void a_large_export_is_refused_before_it_is_read(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct regfile f = { 0 };
	struct err err;

	buf_put_text(&bytes, "REGEDIT4\n[k]\n");
	while (bytes.size < REGFILE_BYTES_MAX - 16)
		buf_put_text(&bytes, "\"a\"=dword:1\n");
	assert_false(regfile_read(&f, buf_span(&bytes), &err));
	assert_int_equal(err.code, ERR_LIMIT);
	buf_put(&bytes, body, sizeof(body));
	assert_false(regfile_read(&f, buf_span(&bytes), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

TESTING_MAIN(cmocka_unit_test(both_kinds_of_export_say_the_same),
	     cmocka_unit_test(other_scripts_become_utf8),
	     cmocka_unit_test(malformed_exports_are_refused_with_their_line),
	     cmocka_unit_test(a_large_export_is_refused_before_it_is_read))
