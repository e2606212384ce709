/* What a group allows the transfers of its clients. */
#include "support/testing.h"

#include <stdlib.h>

#include "agent/allowance.h"
#include "common/alloc.h"
#include "common/clock.h"

static int64_t at(const char *text)
{
	int64_t s = 0;

	assert_true(clock_parse(&s, text));
	return s;
}

static void the_smaller_of_two_rates_holds(void **state UNUSED)
{
	static const struct {
		uint64_t asked, group, want;
	} rows[] = { { 0, 0, 0 }, { 5, 0, 5 }, { 0, 7, 7 }, { 5, 7, 5 }, { 7, 5, 5 } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct scene_limits limits = { "g", rows[i].group, NULL };
		struct allowance a = allowance_of(&limits, rows[i].asked, 1);

		assert_int_equal(a.rate_bps, rows[i].want);
		assert_false(a.is_closed);
	}
}

static void outside_its_hours_nothing_moves_until_they_begin(void **state UNUSED)
{
	const struct scene_limits limits = { "branch", 0, "22:00-06:00" };
	int64_t noon, night;
	struct allowance a;
	SCOPED_TEXT char *text = NULL;

	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	noon = at("2026-11-18T12:00:00Z");
	night = at("2026-11-18T23:00:00Z");
	assert_false(allowance_of(&limits, 0, night).is_closed);
	a = allowance_of(&limits, 0, noon);
	assert_true(a.is_closed);
	assert_int_equal(a.until_s, at("2026-11-18T22:00:00Z"));
	text = allowance_text(&a);
	assert_string_equal(text, "waits for the hours of group \"branch\", in which content may "
				  "be fetched: 22:00-06:00");
}

static void a_client_of_no_group_is_free(void **state UNUSED)
{
	const struct scene_limits none = { .group = NULL };
	struct allowance a = allowance_of(&none, 0, 1);

	assert_false(a.is_closed);
	assert_int_equal(a.rate_bps, 0);
}

TESTING_MAIN(cmocka_unit_test(the_smaller_of_two_rates_holds),
	     cmocka_unit_test(outside_its_hours_nothing_moves_until_they_begin),
	     cmocka_unit_test(a_client_of_no_group_is_free), )
