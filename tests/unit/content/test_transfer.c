#include "support/testing.h"

#include "content/transfer.h"

static void a_pace_without_limit_never_waits(void **state UNUSED)
{
	struct transfer_pace pace = { 0 };

	assert_int_equal(transfer_pace_wait_ms(&pace, UINT64_MAX, 5), 0);
}

/* Take pieces for `seconds`, waiting as told; returns the bytes taken. */
static uint64_t run(struct transfer_pace *pace, uint64_t *now_ms, uint64_t seconds, uint64_t piece)
{
	uint64_t end_ms = *now_ms + seconds * 1000;
	uint64_t bytes = 0;

	while (*now_ms < end_ms) {
		bytes += piece;
		*now_ms += transfer_pace_wait_ms(pace, piece, *now_ms);
	}
	return bytes;
}

static void the_rate_holds_over_five_seconds(void **state UNUSED)
{
	static const struct {
		uint64_t rate_bps, piece;
	} paces[] = {
		{ 2000000, 65536 }, { 2000000, 1000 }, { 300000, 16384 }, { 50000000, 65536 }
	};

	for (size_t i = 0; i < COUNT_OF(paces); i++) {
		struct transfer_pace pace = { .rate_bps = paces[i].rate_bps };
		uint64_t now_ms = 1000000;
		uint64_t bytes = run(&pace, &now_ms, 5, paces[i].piece);

		assert_in_range(bytes, paces[i].rate_bps * 5 * 9 / 10,
				paces[i].rate_bps * 5 * 11 / 10);
	}
}

static void a_pause_is_not_made_up_for(void **state UNUSED)
{
	struct transfer_pace pace = { .rate_bps = 1000000 };
	uint64_t now_ms = 1000000;

	run(&pace, &now_ms, 1, 10000);
	now_ms += 60000;
	assert_in_range(run(&pace, &now_ms, 5, 10000), 4500000, 5500000);
}

TESTING_MAIN(cmocka_unit_test(a_pace_without_limit_never_waits),
	     cmocka_unit_test(the_rate_holds_over_five_seconds),
	     cmocka_unit_test(a_pause_is_not_made_up_for))
