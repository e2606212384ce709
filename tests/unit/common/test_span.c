#include "support/testing.h"

#include <string.h>

#include "common/span.h"

#define BYTES(text) span_of(text, sizeof(text) - 1)

static void a_take_past_the_end_leaves_the_view_alone(void **state UNUSED)
{
	struct span s = BYTES("abc");
	const struct span whole = s;
	struct span part;
	uint32_t u32;
	uint64_t u64;
	char copy[4];

	assert_false(span_take(&s, &part, 4));
	assert_false(span_take(&s, &part, SIZE_MAX));
	assert_false(span_take_copy(&s, copy, sizeof(copy)));
	assert_false(span_take_u32(&s, &u32));
	assert_false(span_take_u64(&s, &u64));
	assert_ptr_equal(s.data, whole.data);
	assert_int_equal(s.size, whole.size);
	assert_true(span_take(&s, &part, 3));
	assert_true(span_equal(part, whole));
	assert_int_equal(s.size, 0);
	assert_true(span_take(&s, &part, 0));
}

static void integers_are_little_endian(void **state UNUSED)
{
	struct span s = BYTES("\x01\x02\x01\x04\x03\x02\x01\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1");
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;

	assert_true(span_take_u8(&s, &u8) && u8 == 1);
	assert_true(span_take_u16(&s, &u16) && u16 == 0x0102);
	assert_true(span_take_u32(&s, &u32) && u32 == 0x01020304);
	assert_true(span_take_u64(&s, &u64) && u64 == 0xf1f2f3f4f5f6f7f8u);
	assert_int_equal(s.size, 0);
	assert_false(span_take_u8(&s, &u8));
}

static void each_number_has_one_varint(void **state UNUSED)
{
	const struct {
		const char *why;
		struct span in;
		uint64_t max;
		bool fine;
		uint64_t want;
	} cases[] = {
		{ "zero", BYTES("\x00"), UINT64_MAX, true, 0 },
		{ "the last of one byte", BYTES("\x7f"), UINT64_MAX, true, 127 },
		{ "the first of two bytes", BYTES("\x80\x01"), UINT64_MAX, true, 128 },
		{ "the greatest of all", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		  UINT64_MAX, true, UINT64_MAX },
		{ "just at the limit", BYTES("\xe8\x07"), 1000, true, 1000 },
		{ "just past the limit", BYTES("\xe9\x07"), 1000, false, 0 },
		{ "zero in two bytes", BYTES("\x80\x00"), UINT64_MAX, false, 0 },
		{ "127 in two bytes", BYTES("\xff\x00"), UINT64_MAX, false, 0 },
		{ "a 65th bit", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), UINT64_MAX,
		  false, 0 },
		{ "an eleventh byte", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
		  UINT64_MAX, false, 0 },
		{ "an end in the middle", BYTES("\x80\x80"), UINT64_MAX, false, 0 },
		{ "nothing", BYTES(""), UINT64_MAX, false, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct span s = cases[i].in;
		uint64_t got = 0;
		bool fine = span_take_varint(&s, &got, cases[i].max);

		if (fine != cases[i].fine || got != cases[i].want ||
		    s.size != (fine ? 0 : cases[i].in.size))
			fail_msg("%s: %s %llu, %zu bytes left", cases[i].why,
				 fine ? "taken" : "refused", (unsigned long long)got, s.size);
	}
}

static void a_separator_is_looked_for_within_the_limit(void **state UNUSED)
{
	const struct {
		const char *why;
		struct span in;
		size_t max;
		bool fine;
		const char *want, *rest;
	} cases[] = {
		{ "the first of two", BYTES("a:b:c"), 10, true, "a", "b:c" },
		{ "an empty part", BYTES(":b"), 10, true, "", "b" },
		{ "nothing behind it", BYTES("ab:"), 10, true, "ab", "" },
		{ "a part of just the limit", BYTES("abc:d"), 3, true, "abc", "d" },
		{ "a part past the limit", BYTES("abcd:e"), 3, false, NULL, "abcd:e" },
		{ "none at all", BYTES("abc"), 10, false, NULL, "abc" },
		{ "no bytes", BYTES(""), 10, false, NULL, "" },
		{ "a limit of nothing", BYTES(":x"), 0, true, "", "x" },
		{ "no limit", BYTES("a:"), SIZE_MAX, true, "a", "" },
		{ "NUL is a byte like others", BYTES("a\0b:c"), 10, true, NULL, "c" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct span s = cases[i].in, part = BYTES("");
		bool fine = span_take_until(&s, &part, ':', cases[i].max);

		if (fine != cases[i].fine || !span_equal_text(s, cases[i].rest) ||
		    (cases[i].want != NULL && !span_equal_text(part, cases[i].want)))
			fail_msg("%s", cases[i].why);
	}
}

static void lines_end_with_a_newline_or_the_view(void **state UNUSED)
{
	struct span s = BYTES("one\n\ntwo\r\nlast");
	static const char *const want[] = { "one", "", "two\r", "last" };
	struct span line;

	for (size_t i = 0; i < COUNT_OF(want); i++) {
		assert_true(span_take_line(&s, &line));
		assert_true(span_equal_text(line, want[i]));
	}
	assert_false(span_take_line(&s, &line));
	s = BYTES("only\n");
	assert_true(span_take_line(&s, &line));
	assert_false(span_take_line(&s, &line));
}

static void an_empty_view_needs_no_memory(void **state UNUSED)
{
	struct span none = { 0 }, part;

	assert_true(span_equal(none, span_of("x", 0)));
	assert_true(span_equal_text(none, ""));
	assert_false(span_equal_text(none, "x"));
	assert_false(span_take_until(&none, &part, ':', 5));
	assert_false(span_take_line(&none, &part));
	assert_true(span_take_copy(&none, NULL, 0));
}

TESTING_MAIN(cmocka_unit_test(a_take_past_the_end_leaves_the_view_alone),
	     cmocka_unit_test(integers_are_little_endian),
	     cmocka_unit_test(each_number_has_one_varint),
	     cmocka_unit_test(a_separator_is_looked_for_within_the_limit),
	     cmocka_unit_test(lines_end_with_a_newline_or_the_view),
	     cmocka_unit_test(an_empty_view_needs_no_memory))
