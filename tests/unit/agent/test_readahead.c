#include "agent/readahead.h"

#include "common/macros.h"
#include "support/testing.h"

#define MIB    ((uint64_t)1 << 20)
#define STREAM (1000 * MIB)

/* What one who reads `step` bytes at a time asks for on the way; `known` is here already. */
static uint64_t read_on(uint64_t *missed, uint64_t *known, struct readahead *r, uint64_t from,
			uint64_t to, uint64_t step)
{
	uint64_t asked = 0;

	for (uint64_t at = from; at < to; at += step) {
		struct readahead_range range;

		if (at + step > *known) {
			range = readahead_missed(r, at, step, STREAM);
			assert_true(range.offset <= at && range.offset + range.size >= at + step);
			*known = range.offset + range.size;
			asked += range.size;
			(*missed)++;
		}
		range = readahead_passed(r, at, step, STREAM);
		if (range.size > 0) {
			assert_true(range.offset <= *known);
			*known = MAX_OF(*known, range.offset + range.size);
			asked += range.size;
		}
	}
	return asked;
}

static void who_goes_straight_on_waits_at_the_beginning_only(void **state UNUSED)
{
	struct readahead r = { 0 };
	uint64_t missed = 0, known = 0;

	assert_true(read_on(&missed, &known, &r, 0, 500 * MIB, MIB / 8) <=
		    500 * MIB + 3 * READAHEAD_MAX);
	assert_int_equal(missed, 1);
}

static void who_jumps_about_gets_little_in_advance(void **state UNUSED)
{
	struct readahead r = { 0 };

	for (uint64_t i = 1; i < 90; i++) {
		uint64_t at = i * 37 % 97 * 10 * MIB;

		assert_int_equal(readahead_missed(&r, at, 4096, STREAM).size, READAHEAD_MIN);
		assert_int_equal(readahead_passed(&r, at, 4096, STREAM).size, 0);
	}
}

static void several_readers_are_told_apart(void **state UNUSED)
{
	struct readahead r = { 0 };
	uint64_t missed = 0, known[4] = { 0 };

	for (uint64_t mib = 0; mib < 60; mib += 30)
		for (uint64_t reader = 0; reader < 4; reader++) {
			uint64_t from = (reader * 200 + mib) * MIB;

			(void)read_on(&missed, &known[reader], &r, from, from + 30 * MIB, MIB / 8);
		}
	assert_int_equal(missed, 4);
}

static void nothing_is_asked_for_behind_the_end(void **state UNUSED)
{
	struct readahead r = { 0 };
	struct readahead_range range = readahead_missed(&r, STREAM - 10, 10, STREAM);

	assert_int_equal(range.offset, STREAM - 10);
	assert_int_equal(range.size, 10);
	for (uint64_t at = STREAM - 4 * MIB; at < STREAM; at += MIB) {
		range = readahead_passed(&r, at, MIB, STREAM);
		assert_true(range.offset + range.size <= STREAM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_goes_straight_on_waits_at_the_beginning_only),
		cmocka_unit_test(who_jumps_about_gets_little_in_advance),
		cmocka_unit_test(several_readers_are_told_apart),
		cmocka_unit_test(nothing_is_asked_for_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
