#include "support/testing.h"

#include <string.h>

#include "agent/segment.h"

static struct segment_record record(uint64_t sequence, const char *key, const char *json)
{
	return (struct segment_record){ sequence, span_of_text(key), span_of_text(json) };
}

static void put_three(struct buf *out)
{
	static const char *const keys[] = { "", "run:LON20001", "k" };

	for (uint64_t i = 0; i < COUNT_OF(keys); i++) {
		struct segment_record r = record(7 + i, keys[i], "{\"id\":10008}");

		segment_put(out, &r);
	}
}

static void records_come_back_in_their_order(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct segment_record got;
	struct span rest;

	put_three(&bytes);
	rest = buf_span(&bytes);
	for (uint64_t i = 7; i < 10; i++) {
		assert_true(segment_take(&rest, &got, i));
		assert_int_equal(got.sequence, i);
		assert_true(span_equal_text(got.json, "{\"id\":10008}"));
	}
	assert_true(span_equal_text(got.key, "k"));
	assert_int_equal(rest.size, 0);
	assert_false(segment_take(&rest, &got, 10));
}

static void a_frame_has_the_size_that_is_promised(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct segment_record r = record(1, "key", "{}");

	segment_put(&bytes, &r);
	assert_int_equal(bytes.size, SEGMENT_FRAME_SIZE + 3 + 2);
}

/* The kill, or the power cut, may come after any byte. */
static void a_torn_end_costs_the_last_record_alone(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	size_t third;

	put_three(&bytes);
	third = SEGMENT_FRAME_SIZE + 1 + strlen("{\"id\":10008}");
	for (size_t cut = 1; cut <= third; cut++) {
		struct span rest = span_of(bytes.data, bytes.size - cut);
		struct segment_record got;
		size_t left;

		assert_true(segment_take(&rest, &got, 7));
		assert_true(segment_take(&rest, &got, 8));
		left = rest.size;
		assert_false(segment_take(&rest, &got, 9));
		assert_int_equal(rest.size, left);
	}
}

static void any_bit_that_flips_is_seen(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct segment_record r = record(7, "key", "{\"id\":10008}"), got;

	segment_put(&bytes, &r);
	for (size_t bit = 0; bit < bytes.size * 8; bit++) {
		struct span rest = buf_span(&bytes);

		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (segment_take(&rest, &got, 7))
			fail_msg("bit %zu", bit);
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void a_record_out_of_its_place_is_refused(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct segment_record got;
	struct span rest;

	put_three(&bytes);
	rest = buf_span(&bytes);
	assert_false(segment_take(&rest, &got, 6));
	assert_false(segment_take(&rest, &got, 8));
	assert_int_equal(rest.size, bytes.size);
	assert_true(segment_take(&rest, &got, 7));
}

TESTING_MAIN(cmocka_unit_test(records_come_back_in_their_order),
	     cmocka_unit_test(a_frame_has_the_size_that_is_promised),
	     cmocka_unit_test(a_torn_end_costs_the_last_record_alone),
	     cmocka_unit_test(any_bit_that_flips_is_seen),
	     cmocka_unit_test(a_record_out_of_its_place_is_refused))
