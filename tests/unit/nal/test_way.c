/* What concerns every way, whatever its protocol. */
#include "support/testing.h"

#include "nal/way.h"

static void a_limited_reader_is_read_ahead_for_by_his_rate(void **state UNUSED)
{
	static const struct {
		const char *why;
		uint64_t rate, usual;
		uint32_t rtt_us;
		uint64_t want;
	} rows[] = {
		{ "no limit: as usual", 0, 1 << 20, 100, 1 << 20 },
		{ "an eighth of a second", 2000000, 1 << 20, 100, 250000 },
		{ "never more than usual", 80000000, 1 << 20, 100, 1 << 20 },
		{ "a server that is far must still keep the rate", 2000000, 16 << 20, 400000,
		  1200000 },
		{ "a slow one in pieces that are worth a request", 1000, 1 << 20, 100, 16 << 10 },
		{ "a rate beyond all lines", UINT64_MAX, 1 << 20, UINT32_MAX, 1 << 20 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct way way = { .rate_bps = rows[i].rate };
		uint64_t got = way_ahead(&way, rows[i].usual, rows[i].rtt_us);

		if (got != rows[i].want)
			fail_msg("%s: %llu", rows[i].why, (unsigned long long)got);
	}
}

TESTING_MAIN(cmocka_unit_test(a_limited_reader_is_read_ahead_for_by_his_rate), )
