/*
 * Clocks that run faster than the machine's, for programs whose weeks pass in a minute. Both follow
 * PACKWAY_FAKE_TIME=BASE*RATE: the wall clock as it does in every program (common/clock.h), the
 * other one by the same RATE, so that all processes on one machine agree.
 */
#ifndef TESTS_SUPPORT_FASTCLOCK_H
#define TESTS_SUPPORT_FASTCLOCK_H

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

static inline int64_t fastclock_wall_s(void *ctx UNUSED)
{
	return clock_wall_s(clock_system());
}

static inline uint64_t fastclock_mono_ms(void *ctx)
{
	return clock_mono_ms(clock_system()) * *(const uint64_t *)ctx;
}

/* `rate` is where the rate is kept, and lives as long as the clock. */
static inline struct clock fastclock(uint64_t *rate)
{
	const char *fake = getenv("PACKWAY_FAKE_TIME");
	const char *times = fake != NULL ? strchr(fake, '*') : NULL;

	*rate = times != NULL ? strtoull(times + 1, NULL, 10) : 1;
	return (struct clock){
		.wall_s = fastclock_wall_s,
		.mono_ms = fastclock_mono_ms,
		.ctx = rate,
	};
}

#endif
