#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

static void times_are_read(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		bool fine;
		int64_t want;
	} cases[] = {
		{ "the beginning", "1970-01-01T00:00:00Z", true, 0 },
		{ "a common day", "2026-11-22T14:43:37Z", true, 1795358617 },
		{ "small letters", "2026-11-22t14:43:37z", true, 1795358617 },
		{ "a space", "2026-11-22 14:43:37Z", true, 1795358617 },
		{ "a fraction is cut", "2026-11-22T14:43:37.999999999Z", true, 1795358617 },
		{ "east of Greenwich", "2026-11-22T16:43:37+02:00", true, 1795358617 },
		{ "west of it", "2026-11-22T09:13:37-05:30", true, 1795358617 },
		{ "past 2038", "2038-01-19T03:14:08Z", true, (int64_t)1 << 31 },
		{ "the last second", "9999-12-31T23:59:59Z", true, 253402300799 },
		{ "29 February", "2024-02-29T00:00:00Z", true, 1709164800 },
		{ "a leap second is the one before", "2016-12-31T23:59:60Z", true, 1483228799 },
		{ "29 February of another year", "2023-02-29T00:00:00Z", false, 0 },
		{ "29 February of 2100", "2100-02-29T00:00:00Z", false, 0 },
		{ "31 April", "2026-04-31T00:00:00Z", false, 0 },
		{ "month 0", "2026-00-10T00:00:00Z", false, 0 },
		{ "month 13", "2026-13-10T00:00:00Z", false, 0 },
		{ "day 0", "2026-01-00T00:00:00Z", false, 0 },
		{ "24 o'clock", "2026-01-01T24:00:00Z", false, 0 },
		{ "second 61", "2026-01-01T00:00:61Z", false, 0 },
		{ "before 1970", "1969-12-31T23:59:59Z", false, 0 },
		{ "before 1970 by its offset", "1970-01-01T00:00:00+00:01", false, 0 },
		{ "a year of five digits", "10000-01-01T00:00:00Z", false, 0 },
		{ "no zone", "2026-11-22T14:43:37", false, 0 },
		{ "an offset without colon", "2026-11-22T14:43:37+0200", false, 0 },
		{ "an offset of a day", "2026-11-22T14:43:37+24:00", false, 0 },
		{ "a point without fraction", "2026-11-22T14:43:37.Z", false, 0 },
		{ "a date alone", "2026-11-22", false, 0 },
		{ "something behind", "2026-11-22T14:43:37Z ", false, 0 },
		{ "a sign in a number", "2026-+1-22T14:43:37Z", false, 0 },
		{ "nothing", "", false, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t got = 0;
		bool fine = clock_parse(&got, cases[i].in);

		if (fine != cases[i].fine || (fine && got != cases[i].want))
			fail_msg("%s: \"%s\" gave %lld", cases[i].why, cases[i].in, (long long)got);
	}
}

static void times_are_printed_as_they_are_read(void **state UNUSED)
{
	static const struct {
		int64_t in;
		const char *want;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 1795358617, "2026-11-22T14:43:37Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
		{ 253402300800, "never" },
		{ INT64_MAX, "never" },
		{ INT64_MIN, "never" },
		{ -1, "1969-12-31T23:59:59Z" },
	};
	char text[CLOCK_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		clock_print(text, cases[i].in);
		assert_string_equal(text, cases[i].want);
	}
}

static void people_may_say_when_from_now(void **state UNUSED)
{
	enum { NOW = 1000000 };
	static const struct {
		const char *why, *in;
		bool fine;
		int64_t want;
	} cases[] = {
		{ "now", "now", true, NOW },
		{ "in two hours", "+2h", true, NOW + 7200 },
		{ "a day ago", "-1d", true, NOW - 86400 },
		{ "bare seconds", "+90", true, NOW + 90 },
		{ "in a century", "+36600d", true, NOW + (int64_t)36600 * 86400 },
		{ "a time", "1970-01-01T00:00:05Z", true, 5 },
		{ "past a century", "+36601d", false, 0 },
		{ "past any number", "+99999999999999999999d", false, 0 },
		{ "before 1970", "-1000001", false, 0 },
		{ "a sign alone", "+", false, 0 },
		{ "two signs", "+-2h", false, 0 },
		{ "no sign", "2h", false, 0 },
		{ "another word", "soon", false, 0 },
		{ "capitals", "NOW", false, 0 },
		{ "nothing", "", false, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t got = 0;
		bool fine = clock_parse_relative(&got, cases[i].in, NOW);

		if (fine != cases[i].fine || (fine && got != cases[i].want))
			fail_msg("%s: \"%s\" gave %lld", cases[i].why, cases[i].in, (long long)got);
	}
}

static void windows_are_read(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		bool fine;
		uint16_t from, to;
	} cases[] = {
		{ "an evening", "18:00-23:30", true, 1080, 1410 },
		{ "past midnight", "22:00-06:00", true, 1320, 360 },
		{ "the whole day", "00:00-24:00", true, 0, 1440 },
		{ "past 24 o'clock", "00:00-24:01", false, 0, 0 },
		{ "25 o'clock", "25:00-26:00", false, 0, 0 },
		{ "minute 60", "10:60-11:00", false, 0, 0 },
		{ "one digit", "9:00-10:00", false, 0, 0 },
		{ "half a window", "09:00-", false, 0, 0 },
		{ "something behind", "09:00-10:00 ", false, 0, 0 },
		{ "nothing", "", false, 0, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct clock_window w = { 0 };
		bool fine = clock_window_parse(&w, cases[i].in);

		if (fine != cases[i].fine ||
		    (fine && (w.from_min != cases[i].from || w.to_min != cases[i].to)))
			fail_msg("%s: \"%s\"", cases[i].why, cases[i].in);
	}
}

static void live_in(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static int64_t at(const char *text)
{
	int64_t unix_s = 0;

	assert_true(clock_parse(&unix_s, text));
	return unix_s;
}

static void a_window_opens_and_closes_by_local_time(void **state UNUSED)
{
	static const struct {
		const char *why, *window, *zone, *now;
		const char *next; /* NULL: it is open */
	} cases[] = {
		{ "its first second", "09:00-10:00", "UTC0", "2026-01-05T09:00:00Z", NULL },
		{ "its last second", "09:00-10:00", "UTC0", "2026-01-05T09:59:59Z", NULL },
		{ "just over", "09:00-10:00", "UTC0", "2026-01-05T10:00:00Z",
		  "2026-01-06T09:00:00Z" },
		{ "just before", "09:00-10:00", "UTC0", "2026-01-05T08:59:59Z",
		  "2026-01-05T09:00:00Z" },
		{ "past midnight, in the evening", "22:00-06:00", "UTC0", "2026-01-05T23:00:00Z",
		  NULL },
		{ "past midnight, in the morning", "22:00-06:00", "UTC0", "2026-01-05T05:59:00Z",
		  NULL },
		{ "past midnight, at noon", "22:00-06:00", "UTC0", "2026-01-05T12:00:00Z",
		  "2026-01-05T22:00:00Z" },
		{ "until midnight", "22:00-24:00", "UTC0", "2026-01-05T23:59:59Z", NULL },
		{ "until midnight, at midnight", "22:00-24:00", "UTC0", "2026-01-06T00:00:00Z",
		  "2026-01-06T22:00:00Z" },
		{ "empty is the whole day", "09:00-09:00", "UTC0", "2026-01-05T03:00:00Z", NULL },
		{ "east of Greenwich", "09:00-10:00", "XXX-2", "2026-01-05T07:30:00Z", NULL },
		{ "half an hour off", "09:00-10:00", "XXX-5:30", "2026-01-05T03:29:59Z",
		  "2026-01-05T03:30:00Z" },
		{ "summer time comes in between", "09:00-10:00", "CET-1CEST,M3.5.0,M10.5.0/3",
		  "2026-03-28T20:00:00Z", "2026-03-29T07:00:00Z" },
		{ "an hour that summer time leaves out", "02:10-02:50",
		  "CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-28T20:00:00Z", "2026-03-30T00:10:00Z" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t now = at(cases[i].now);
		struct clock_window w;

		live_in(cases[i].zone);
		assert_true(clock_window_parse(&w, cases[i].window));
		if (clock_window_is_open(&w, now) != (cases[i].next == NULL))
			fail_msg("%s: open or not", cases[i].why);
		if (clock_window_next(&w, now) != (cases[i].next ? at(cases[i].next) : now))
			fail_msg("%s: opens at another time", cases[i].why);
	}
	live_in("UTC0");
}

static void tests_may_shift_the_wall_clock(void **state UNUSED)
{
	static const struct {
		const char *fake;
		bool counts_from_now;
		int64_t want; /* what is added, or the time itself */
	} cases[] = {
		{ "86400", false, 86400 },
		{ "0", false, 0 },
		{ "+3600", true, 3600 },
		{ "-3600", true, -3600 },
		{ "", true, 0 },
		{ "tomorrow", true, 0 },
		{ "+", true, 0 },
		{ "10 ", true, 0 },
		{ "+9223372036854775807", true, 0 },
		{ "99999999999999999999", true, 0 },
		{ "0*0", true, 0 },
		{ "0*-2", true, 0 },
		{ "0*", true, 0 },
		{ "0*2x", true, 0 },
		{ "0*99999999999999999999", true, 0 },
		{ "0*1", true, 0 },
	};
	const struct clock *clock = clock_system();

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t got, want = cases[i].want;

		setenv("PACKWAY_FAKE_TIME", cases[i].fake, 1);
		got = clock_wall_s(clock);
		want += cases[i].counts_from_now ? time(NULL) : 0;
		if (got < want - 5 || got > want + 5)
			fail_msg("\"%s\": %lld", cases[i].fake, (long long)got);
	}
	unsetenv("PACKWAY_FAKE_TIME");
}

static void tests_may_let_the_wall_clock_run_faster(void **state UNUSED)
{
	const struct timespec pause = { .tv_nsec = 30000000 };
	int64_t base = time(NULL), one, two;
	char fake[64];

	snprintf(fake, sizeof(fake), "%lld*10000", (long long)base - 10);
	setenv("PACKWAY_FAKE_TIME", fake, 1);
	one = clock_wall_s(clock_system());
	nanosleep(&pause, NULL);
	two = clock_wall_s(clock_system());
	unsetenv("PACKWAY_FAKE_TIME");
	/* 10 s since the base at least, and 30 ms more at least, a minute more at most. */
	assert_in_range(one, base - 10 + 100000, base - 10 + 70 * 10000);
	assert_in_range(two - one, 299, 60 * 10000);
}

static void the_other_clock_never_goes_back(void **state UNUSED)
{
	const struct clock *clock = clock_system();
	uint64_t before = clock_mono_ms(clock);

	setenv("PACKWAY_FAKE_TIME", "-100000", 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_mono_ms(clock);

		assert_true(now >= before);
		before = now;
	}
	unsetenv("PACKWAY_FAKE_TIME");
}

TESTING_MAIN(cmocka_unit_test(times_are_read), cmocka_unit_test(times_are_printed_as_they_are_read),
	     cmocka_unit_test(people_may_say_when_from_now), cmocka_unit_test(windows_are_read),
	     cmocka_unit_test(a_window_opens_and_closes_by_local_time),
	     cmocka_unit_test(tests_may_shift_the_wall_clock),
	     cmocka_unit_test(tests_may_let_the_wall_clock_run_faster),
	     cmocka_unit_test(the_other_clock_never_goes_back))
