/*
 * The time seam. Code that decides takes a `now`; code that waits takes a clock, so that tests
 * can run three days in a second. Also RFC 3339 text for times.
 *
 * The formatting functions are pure; clock_system reads the machine's clocks.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"

struct clock {
	int64_t (*wall_s)(void *ctx);   /* seconds since 1970, may jump */
	uint64_t (*mono_ms)(void *ctx); /* since boot, includes sleep, never goes back */
	void *ctx;
};

/*
 * The machine's own clocks. PACKWAY_FAKE_TIME shifts the wall clock for tests: seconds since 1970,
 * "+N"/"-N" from now, or "N*RATE", which since the time N runs RATE times as fast. It is ignored
 * for programs with raised privileges (AT_SECURE).
 */
const struct clock *clock_system(void);

static inline int64_t clock_wall_s(const struct clock *c)
{
	return c->wall_s(c->ctx);
}

static inline uint64_t clock_mono_ms(const struct clock *c)
{
	return c->mono_ms(c->ctx);
}

#define CLOCK_TEXT_MAX 32

/* RFC 3339 in UTC, "2026-11-22T14:43:37Z"; `dst` has room for CLOCK_TEXT_MAX. */
void clock_print(char *dst, int64_t unix_s);

/* RFC 3339 with Z or an offset, fraction ignored; years 1970 to 9999. */
bool clock_parse(int64_t *unix_s_out, const char *text) MUST_USE;

/* What the command line takes: RFC 3339, "now", "+2h" or "-1d". */
bool clock_parse_relative(int64_t *unix_s_out, const char *text, int64_t now_s) MUST_USE;

/*
 * A daily window "HH:MM-HH:MM" in local time, which may pass midnight. Minutes since midnight.
 */
struct clock_window {
	uint16_t from_min;
	uint16_t to_min;
};
bool clock_window_parse(struct clock_window *out, const char *text) MUST_USE;

/* True if the local time of day of `unix_s` lies in [from, to); an empty window is the whole day.
 */
bool clock_window_is_open(const struct clock_window *w, int64_t unix_s);

/* When the window opens next, at or after `unix_s`. */
int64_t clock_window_next(const struct clock_window *w, int64_t unix_s);

#endif
