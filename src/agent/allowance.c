#include "agent/allowance.h"

#include "common/alloc.h"
#include "common/clock.h"

static uint64_t smaller_rate(uint64_t asked, uint64_t allowed)
{
	return asked == 0 || (allowed > 0 && allowed < asked) ? allowed : asked;
}

struct allowance allowance_of(const struct scene_limits *limits, uint64_t rate_bps, int64_t now_s)
{
	struct allowance a = {
		.rate_bps = smaller_rate(rate_bps, limits->max_rate),
		.group = limits->group,
		.window = limits->window,
	};
	struct clock_window window;

	if (limits->window == NULL || !clock_window_parse(&window, limits->window) ||
	    clock_window_is_open(&window, now_s))
		return a;
	a.is_closed = true;
	a.until_s = clock_window_next(&window, now_s);
	return a;
}

char *allowance_text(const struct allowance *a)
{
	return alloc_printf("waits for the hours of group \"%s\", in which content may be "
			    "fetched: %s",
			    a->group, a->window);
}
