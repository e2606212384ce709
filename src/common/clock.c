#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "common/text.h"

#define FAKE_MAX_S    (1ll << 40) /* far from any overflow */
#define FAKE_RATE_MAX 100000

/* Tests shift the wall clock through the environment: see the header. */
static int64_t shifted(const struct timespec *now)
{
	const char *fake = getauxval(AT_SECURE) != 0 ? NULL : getenv("PACKWAY_FAKE_TIME");
	char *end;
	long long value, rate;

	if (fake == NULL || fake[0] == '\0')
		return now->tv_sec;
	value = strtoll(fake, &end, 10);
	if (value > FAKE_MAX_S || value < -FAKE_MAX_S)
		return now->tv_sec;
	if (*end == '*') {
		rate = strtoll(end + 1, &end, 10);
		if (*end != '\0' || rate < 1 || rate > FAKE_RATE_MAX)
			return now->tv_sec;
		return value + (now->tv_sec - value) * rate + now->tv_nsec / 1000 * rate / 1000000;
	}
	if (*end != '\0')
		return now->tv_sec;
	return fake[0] == '+' || fake[0] == '-' ? now->tv_sec + value : value;
}

static int64_t system_wall_s(void *ctx UNUSED)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return shifted(&now);
}

static uint64_t system_mono_ms(void *ctx UNUSED)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const struct clock *clock_system(void)
{
	static const struct clock system = { .wall_s = system_wall_s, .mono_ms = system_mono_ms };

	return &system;
}

void clock_print(char *dst, int64_t unix_s)
{
	time_t t = unix_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year + 1900 > 9999 || tm.tm_year < -1900) {
		snprintf(dst, CLOCK_TEXT_MAX, "never");
		return;
	}
	strftime(dst, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Two digits at the front of *p; advances. */
static bool take_2(const char **p, int *out, int max)
{
	const char *s = *p;

	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return false;
	*out = (s[0] - '0') * 10 + (s[1] - '0');
	*p = s + 2;
	return *out <= max;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool take_offset(const char **p, int *seconds_out)
{
	int hours, minutes, sign;

	*seconds_out = 0;
	if (take_char(p, 'Z') || take_char(p, 'z'))
		return true;
	sign = **p == '-' ? -1 : 1;
	if (!take_char(p, '+') && !take_char(p, '-'))
		return false;
	if (!take_2(p, &hours, 23) || !take_char(p, ':') || !take_2(p, &minutes, 59))
		return false;
	*seconds_out = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* timegm normalises 31 February to March; a date that does not come back unchanged is none. */
static bool is_real_date(const struct tm *tm, time_t t)
{
	struct tm back;

	return gmtime_r(&t, &back) != NULL && back.tm_mday == tm->tm_mday &&
	       back.tm_mon == tm->tm_mon && back.tm_year == tm->tm_year;
}

bool clock_parse(int64_t *unix_s_out, const char *text)
{
	struct tm tm = { 0 };
	struct tm copy;
	const char *p = text;
	int century, year, offset;
	time_t t;

	if (!take_2(&p, &century, 99) || !take_2(&p, &year, 99) || !take_char(&p, '-') ||
	    !take_2(&p, &tm.tm_mon, 12) || !take_char(&p, '-') || !take_2(&p, &tm.tm_mday, 31))
		return false;
	if (!take_char(&p, 'T') && !take_char(&p, 't') && !take_char(&p, ' '))
		return false;
	if (!take_2(&p, &tm.tm_hour, 23) || !take_char(&p, ':') || !take_2(&p, &tm.tm_min, 59) ||
	    !take_char(&p, ':') || !take_2(&p, &tm.tm_sec, 60))
		return false;
	if (take_char(&p, '.')) {
		if (*p < '0' || *p > '9')
			return false;
		while (*p >= '0' && *p <= '9')
			p++;
	}
	if (!take_offset(&p, &offset) || *p != '\0' || tm.tm_mon < 1 || tm.tm_mday < 1)
		return false;
	tm.tm_mon -= 1;
	tm.tm_year = century * 100 + year - 1900;
	if (tm.tm_sec == 60)
		tm.tm_sec = 59; /* a leap second is its predecessor here */
	copy = tm;
	t = timegm(&tm);
	if (t < 0 || !is_real_date(&copy, t))
		return false;
	*unix_s_out = (int64_t)t - offset;
	return *unix_s_out >= 0;
}

bool clock_parse_relative(int64_t *unix_s_out, const char *text, int64_t now_s)
{
	uint64_t distance_s;

	if (strcmp(text, "now") == 0) {
		*unix_s_out = now_s;
		return true;
	}
	if (text[0] != '+' && text[0] != '-')
		return clock_parse(unix_s_out, text);
	/* A century is enough for any schedule and far from any overflow. */
	if (!text_duration(&distance_s, text + 1) || distance_s > 100ull * 366 * 86400)
		return false;
	*unix_s_out = text[0] == '+' ? now_s + (int64_t)distance_s : now_s - (int64_t)distance_s;
	return *unix_s_out >= 0;
}

static bool take_time_of_day(const char **p, uint16_t *min_out)
{
	int hour, minute;

	if (!take_2(p, &hour, 24) || !take_char(p, ':') || !take_2(p, &minute, 59))
		return false;
	if (hour == 24 && minute != 0)
		return false;
	*min_out = (uint16_t)(hour * 60 + minute);
	return true;
}

bool clock_window_parse(struct clock_window *out, const char *text)
{
	const char *p = text;

	return take_time_of_day(&p, &out->from_min) && take_char(&p, '-') &&
	       take_time_of_day(&p, &out->to_min) && *p == '\0';
}

static int local_minute(int64_t unix_s)
{
	time_t t = unix_s;
	struct tm tm;

	return localtime_r(&t, &tm) != NULL ? tm.tm_hour * 60 + tm.tm_min : 0;
}

static bool minute_is_inside(const struct clock_window *w, int minute)
{
	if (w->from_min == w->to_min)
		return true;
	if (w->from_min < w->to_min)
		return minute >= w->from_min && minute < w->to_min;
	return minute >= w->from_min || minute < w->to_min;
}

bool clock_window_is_open(const struct clock_window *w, int64_t unix_s)
{
	return minute_is_inside(w, local_minute(unix_s));
}

int64_t clock_window_next(const struct clock_window *w, int64_t unix_s)
{
	/* Minute by minute, so that a change to summer time inside the wait is right as well. */
	int64_t at = unix_s;

	for (int i = 0; i < 2 * 24 * 60 && !clock_window_is_open(w, at); i++)
		at = at - at % 60 + 60;
	return at;
}
