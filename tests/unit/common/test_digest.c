#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/digest.h"

/* FIPS 180-2, appendix B, and the empty text. */
static const struct {
	const char *text, *hex;
} known[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void published_values_come_out(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		char hex[DIGEST_HEX_SIZE];
		struct digest d;

		digest_of(&d, span_of_text(known[i].text));
		digest_print(hex, &d);
		assert_string_equal(hex, known[i].hex);
	}
}

static void nothing_at_all_is_the_empty_text(void **state UNUSED)
{
	struct digest_ctx *ctx = digest_new();
	struct digest whole, untouched, of_null;

	digest_of(&whole, span_of_text(""));
	digest_of(&of_null, span_of(NULL, 0));
	digest_finish(ctx, &untouched);
	assert_true(digest_equal(&whole, &untouched));
	assert_true(digest_equal(&whole, &of_null));
	digest_free(ctx);
	digest_free(NULL);
}

static void pieces_of_any_size_give_the_same_hash(void **state UNUSED)
{
	static const size_t steps[] = { 1, 3, 63, 64, 65, 4096, 1000000 };
	struct digest_ctx *ctx = digest_new();
	uint8_t *million = malloc(1000000);

	assert_non_null(million);
	memset(million, 'a', 1000000);
	/* One context all along: a finish starts it over. */
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		struct span rest = span_of(million, 1000000);
		char hex[DIGEST_HEX_SIZE];
		struct digest d;

		while (rest.size > 0) {
			size_t n = MIN_OF(rest.size, steps[i]);

			digest_update(ctx, span_of(rest.data, n));
			rest = span_skip(rest, n);
		}
		digest_finish(ctx, &d);
		digest_print(hex, &d);
		if (strcmp(hex, MILLION_A) != 0)
			fail_msg("steps of %zu bytes: %s", steps[i], hex);
	}
	free(million);
	digest_free(ctx);
}

static void hexadecimal_is_read_strictly(void **state UNUSED)
{
#define ZEROS "000000000000000000000000000000000000000000000000000000000000"
	static const struct {
		const char *why, *hex;
		bool fine, exact;
	} cases[] = {
		{ "as it is printed", ZEROS "00af", true, true },
		{ "capitals", ZEROS "00AF", true, false },
		{ "a digit short", ZEROS "00a", false, false },
		{ "a digit long", ZEROS "00af0", false, false },
		{ "a newline behind", ZEROS "00af\n", false, false },
		{ "no digit", ZEROS "00ag", false, false },
		{ "a sign", ZEROS "0+af", false, false },
		{ "a space", ZEROS "0 af", false, false },
		{ "a prefix", "0x" ZEROS "00", false, false },
		{ "nothing", "", false, false },
		{ "digits of another script", ZEROS "\xd9\xa0\xd9\xa0", false, false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct digest d;
		bool fine = digest_parse(&d, cases[i].hex);

		if (fine != cases[i].fine || digest_parse_exact(&d, cases[i].hex) != cases[i].exact)
			fail_msg("%s", cases[i].why);
		if (fine && (d.bytes[31] != 0xaf || d.bytes[0] != 0))
			fail_msg("%s: another value", cases[i].why);
	}
}

static void order_is_that_of_the_bytes(void **state UNUSED)
{
	struct digest low = { .bytes = { 0x7f, 0xff } }, high = { .bytes = { 0x80 } };

	assert_true(digest_compare(&low, &high) < 0);
	assert_true(digest_compare(&high, &low) > 0);
	assert_int_equal(digest_compare(&low, &low), 0);
	assert_false(digest_equal(&low, &high));
	high = low;
	high.bytes[31] ^= 1;
	assert_false(digest_equal(&low, &high));
}

TESTING_MAIN(cmocka_unit_test(published_values_come_out),
	     cmocka_unit_test(nothing_at_all_is_the_empty_text),
	     cmocka_unit_test(pieces_of_any_size_give_the_same_hash),
	     cmocka_unit_test(hexadecimal_is_read_strictly),
	     cmocka_unit_test(order_is_that_of_the_bytes))
