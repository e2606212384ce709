#include "nal/pace.h"

#define WAIT_MAX_MS 1000

static uint64_t active_ms(const struct pace *p, uint64_t now_ms)
{
	uint64_t gone = now_ms > p->begun_ms ? now_ms - p->begun_ms : 0;

	return gone > p->away_ms ? gone - p->away_ms : 0;
}

static uint64_t slot_ms(const struct pace *p)
{
	return MAX_OF(p->limits.floor_window_ms / PACE_SLOTS, 1);
}

void pace_begin(struct pace *p, const struct way_limits *limits, uint64_t now_ms)
{
	*p = (struct pace){ .limits = *limits, .begun_ms = now_ms };
	p->limits.tls_ca_file = NULL;
}

/* Bring the ring up to the slot of `active`, emptying those that were skipped. */
static void advance(struct pace *p, uint64_t active)
{
	uint64_t slot = (active - p->first_ms) / slot_ms(p);

	if (slot > p->slot + PACE_SLOTS)
		p->slot = slot - PACE_SLOTS - 1;
	while (p->slot < slot) {
		p->slot++;
		p->bytes[p->slot % COUNT_OF(p->bytes)] = 0;
	}
}

void pace_arrived(struct pace *p, uint64_t bytes, uint64_t now_ms)
{
	uint64_t active = active_ms(p, now_ms);

	if (!p->arrived) {
		p->arrived = true;
		p->first_ms = active;
	}
	if (active < p->first_ms)
		active = p->first_ms; /* away time may be reported after the arrival it delayed */
	advance(p, active);
	p->bytes[p->slot % COUNT_OF(p->bytes)] += bytes;
}

void pace_away(struct pace *p, uint64_t ms)
{
	p->away_ms += ms;
}

enum pace_verdict pace_check(struct pace *p, uint64_t now_ms)
{
	uint64_t active = active_ms(p, now_ms), sum = 0;

	if (!p->arrived)
		return active < p->limits.first_byte_ms ? PACE_FINE : PACE_SILENT;
	if (active < p->first_ms)
		return PACE_FINE;
	advance(p, active);
	if (p->slot < PACE_SLOTS)
		return PACE_FINE;
	for (size_t i = 0; i < COUNT_OF(p->bytes); i++)
		sum += p->bytes[i];
	if (sum == 0)
		return PACE_STALLED;
	if (sum < (uint64_t)p->limits.floor_bytes_per_s * p->limits.floor_window_ms / 1000)
		return PACE_SLOW;
	return PACE_FINE;
}

uint32_t pace_wait_ms(const struct pace *p, uint64_t now_ms)
{
	uint64_t active = active_ms(p, now_ms);
	uint64_t due;

	if (!p->arrived)
		due = p->limits.first_byte_ms;
	else
		due = p->first_ms + (p->slot + 1) * slot_ms(p);
	if (due <= active)
		return 1;
	return (uint32_t)MIN_OF(due - active, WAIT_MAX_MS);
}
