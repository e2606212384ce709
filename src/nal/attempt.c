#include "nal/attempt.h"

#include <stdlib.h>

#include "common/alloc.h"

void attempt_init(struct attempt *a, size_t count, uint64_t now_ms)
{
	*a = (struct attempt){ .count = count,
			       .connect_ms = ATTEMPT_CONNECT_MS,
			       .next_start_ms = now_ms };
	a->candidates = alloc_zeroed(MAX_OF(count, 1), sizeof(a->candidates[0]));
}

void attempt_release(struct attempt *a)
{
	free(a->candidates);
	*a = (struct attempt){ .count = 0 };
}

static struct attempt_candidate *at(struct attempt *a, size_t index)
{
	assert(index < a->count);
	return &a->candidates[index];
}

void attempt_opened(struct attempt *a, size_t index)
{
	struct attempt_candidate *c = at(a, index);

	assert(c->state == ATTEMPT_STATE_WAITING);
	c->state = ATTEMPT_STATE_CONNECTED;
	c->was_open = true;
}

void attempt_connected(struct attempt *a, size_t index, uint64_t now_ms)
{
	struct attempt_candidate *c = at(a, index);

	assert(c->state == ATTEMPT_STATE_CONNECTING);
	c->state = ATTEMPT_STATE_CONNECTED;
	c->ms = (uint32_t)(now_ms - c->begun_ms);
}

void attempt_failed(struct attempt *a, size_t index, enum nal_class class, uint64_t now_ms)
{
	struct attempt_candidate *c = at(a, index);

	assert(class != NAL_CLASS_OK && c->state != ATTEMPT_STATE_WAITING);
	if (c->state == ATTEMPT_STATE_FAILED)
		return;
	if (c->begun_ms != 0)
		c->ms = (uint32_t)(now_ms - c->begun_ms);
	a->owed += c->state == ATTEMPT_STATE_CONNECTING;
	c->state = ATTEMPT_STATE_FAILED;
	c->class = class;
}

void attempt_closed(struct attempt *a, size_t index)
{
	assert(at(a, index)->was_open && at(a, index)->state == ATTEMPT_STATE_USED);
	*at(a, index) = (struct attempt_candidate){ .state = ATTEMPT_STATE_WAITING };
}

void attempt_away(struct attempt *a, uint64_t ms)
{
	a->next_start_ms += ms;
	for (size_t i = 0; i < a->count; i++)
		if (a->candidates[i].state == ATTEMPT_STATE_CONNECTING)
			a->candidates[i].begun_ms += ms;
}

/* The first candidate that has not failed, or `count`. */
static size_t first_hope(const struct attempt *a)
{
	size_t i = 0;

	while (i < a->count && a->candidates[i].state == ATTEMPT_STATE_FAILED)
		i++;
	return i;
}

static struct attempt_step use(struct attempt *a, size_t index, uint64_t now_ms)
{
	struct attempt_candidate *c = at(a, index);

	c->state = ATTEMPT_STATE_USED;
	if (c->begun_ms == 0)
		c->begun_ms = now_ms;
	return (struct attempt_step){ .action = ATTEMPT_USE, .index = index };
}

/* A connect whose time is over, or `count`. */
static size_t overdue(const struct attempt *a, uint64_t now_ms)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->candidates[i].state == ATTEMPT_STATE_CONNECTING &&
		    now_ms >= a->candidates[i].begun_ms + a->connect_ms)
			return i;
	return a->count;
}

/*
 * The next candidate worth starting, or `count`. None behind one that is in hand is: it could
 * only be used after that one failed.
 */
static size_t next_start(const struct attempt *a, size_t *in_flight_out)
{
	size_t next = a->count;

	*in_flight_out = 0;
	for (size_t i = 0; i < a->count; i++) {
		enum attempt_state state = a->candidates[i].state;

		*in_flight_out += state == ATTEMPT_STATE_CONNECTING;
		if (state == ATTEMPT_STATE_CONNECTED && next == a->count)
			break;
		if (state == ATTEMPT_STATE_WAITING && next == a->count)
			next = i;
	}
	return next;
}

/* Until the next start is due, or the oldest connect has had its time. */
static uint32_t wait_for(const struct attempt *a, bool may_start, uint64_t now_ms)
{
	uint64_t due = now_ms + a->connect_ms;

	if (may_start)
		due = MIN_OF(due, a->next_start_ms);
	for (size_t i = 0; i < a->count; i++)
		if (a->candidates[i].state == ATTEMPT_STATE_CONNECTING)
			due = MIN_OF(due, a->candidates[i].begun_ms + a->connect_ms);
	return due > now_ms ? (uint32_t)(due - now_ms) : 0;
}

/*
 * True if a start is allowed now, and takes note of it. Starts that are late do not delay those
 * behind them, or twenty of them would add up to a tenth of a second and more.
 */
static bool take_turn(struct attempt *a, size_t in_flight, uint64_t now_ms)
{
	bool is_due = now_ms >= a->next_start_ms;

	if (in_flight == 0) {
		a->owed = 0;
		a->next_start_ms = now_ms + ATTEMPT_STAGGER_MS;
		return true;
	}
	if (is_due)
		a->next_start_ms += ATTEMPT_STAGGER_MS;
	else if (a->owed > 0)
		a->owed--;
	else
		return false;
	if (now_ms >= a->next_start_ms) /* nobody asked for a long while: no burst */
		a->next_start_ms = now_ms + ATTEMPT_STAGGER_MS;
	return true;
}

static struct attempt_step start(struct attempt *a, size_t index, uint64_t now_ms)
{
	struct attempt_candidate *c = at(a, index);

	c->state = ATTEMPT_STATE_CONNECTING;
	c->begun_ms = now_ms;
	return (struct attempt_step){ .action = ATTEMPT_CONNECT, .index = index };
}

struct attempt_step attempt_next(struct attempt *a, uint64_t now_ms)
{
	size_t late = overdue(a, now_ms);
	size_t hope, next, in_flight;
	bool may_start;

	if (late < a->count) {
		attempt_failed(a, late, NAL_CLASS_TIMEOUT, now_ms);
		return (struct attempt_step){ .action = ATTEMPT_ABANDON, .index = late };
	}
	hope = first_hope(a);
	if (hope == a->count)
		return (struct attempt_step){ .action = ATTEMPT_EXHAUSTED };
	if (a->candidates[hope].state == ATTEMPT_STATE_CONNECTED ||
	    a->candidates[hope].state == ATTEMPT_STATE_USED)
		return use(a, hope, now_ms);
	next = next_start(a, &in_flight);
	may_start = next < a->count && in_flight < ATTEMPT_IN_FLIGHT_MAX;
	if (may_start && take_turn(a, in_flight, now_ms))
		return start(a, next, now_ms);
	return (struct attempt_step){ .action = ATTEMPT_WAIT,
				      .wait_ms = wait_for(a, may_start, now_ms) };
}
