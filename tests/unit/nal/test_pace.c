#include "support/testing.h"

#include "nal/pace.h"

static const struct way_limits limits = WAY_LIMITS_DEFAULT; /* 2.8 s, 2,048 bytes/s over 10 s */

/* `bytes` arrive every `every_ms` from `first_ms` to `until_ms`; when is it refused, and how? */
static const struct {
	const char *why;
	uint32_t first_ms, every_ms, until_ms;
	uint64_t bytes;
	uint32_t away_every; /* of each interval, so many ms are ours */
	enum pace_verdict want;
	uint64_t from_ms, to_ms;
} rows[] = {
	{ "nothing at all", UINT32_MAX, 1, 0, 0, 0, PACE_SILENT, 2800, 2800 },
	{ "a first byte in time, then nothing", 2700, 1000, 2700, 1, 0, PACE_SLOW, 12700, 13800 },
	{ "one byte a second", 0, 1000, UINT32_MAX, 1, 0, PACE_SLOW, 10000, 11100 },
	{ "just below the floor", 0, 1000, UINT32_MAX, 1800, 0, PACE_SLOW, 10000, 11100 },
	{ "well above the floor", 0, 1000, UINT32_MAX, 3000, 0, PACE_FINE, 0, 0 },
	{ "bursts within the window", 0, 8000, UINT32_MAX, 30000, 0, PACE_FINE, 0, 0 },
	{ "fast, then silent", 0, 10, 5000, 100000, 0, PACE_STALLED, 15000, 17100 },
	{ "slow because we are: nine tenths of the time is ours", 0, 1000, UINT32_MAX, 500, 900,
	  PACE_FINE, 0, 0 },
};

static void slow_servers_are_told_from_slow_clients(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const uint64_t begin = 123456;
		enum pace_verdict verdict = PACE_FINE;
		struct pace p;
		uint64_t ms;

		pace_begin(&p, &limits, begin);
		for (ms = 0; ms < 60000 && verdict == PACE_FINE; ms++) {
			if (ms >= rows[i].first_ms && ms <= rows[i].until_ms &&
			    (ms - rows[i].first_ms) % rows[i].every_ms == 0) {
				pace_arrived(&p, rows[i].bytes, begin + ms);
				pace_away(&p, rows[i].away_every);
			}
			verdict = pace_check(&p, begin + ms);
			assert_in_range(pace_wait_ms(&p, begin + ms), 1, 1000);
		}
		ms--;
		if (verdict != rows[i].want ||
		    (verdict != PACE_FINE && (ms < rows[i].from_ms || ms > rows[i].to_ms)))
			fail_msg("%s: verdict %d after %llu ms", rows[i].why, (int)verdict,
				 (unsigned long long)ms);
	}
}

TESTING_MAIN(cmocka_unit_test(slow_servers_are_told_from_slow_clients), )
