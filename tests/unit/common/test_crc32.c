#include "support/testing.h"

#include "common/crc32.h"

/* The check value of the catalogue of CRCs (CRC-32/ISO-HDLC), and that of zlib for others. */
static void published_values_come_out(void **state UNUSED)
{
	uint8_t every[256];

	for (size_t i = 0; i < sizeof(every); i++)
		every[i] = (uint8_t)i;
	assert_int_equal(crc32_of(span_of(every, sizeof(every))), 0x29058c73);
	assert_int_equal(crc32_of(span_of_text("123456789")), 0xcbf43926);
	assert_int_equal(crc32_of(span_of_text("")), 0);
	assert_int_equal(crc32_of(span_of("\0", 1)), 0xd202ef8d);
	assert_int_equal(crc32_of(span_of("\xff\xff\xff\xff", 4)), 0xffffffff);
}

static void any_bit_that_flips_is_seen(void **state UNUSED)
{
	uint8_t bytes[64] = { 1, 2, 3 };
	uint32_t whole = crc32_of(span_of(bytes, sizeof(bytes)));

	for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(crc32_of(span_of(bytes, sizeof(bytes))), whole);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(crc32_of(span_of(bytes, sizeof(bytes))), whole);
}

TESTING_MAIN(cmocka_unit_test(published_values_come_out),
	     cmocka_unit_test(any_bit_that_flips_is_seen))
