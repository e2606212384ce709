#include "support/testing.h"

#include <string.h>

#include "nal/attempt.h"

#define BEGIN_MS 5000

/* A small world: when each candidate's connect ends, and how. 0 ms is at once. */
struct peer {
	uint32_t after_ms;
	enum nal_class class; /* NAL_CLASS_OK: it connects */
};
#define BLACK_HOLE                       \
	{                                \
		UINT32_MAX, NAL_CLASS_OK \
	}

struct run {
	size_t used; /* index of the first ATTEMPT_USE; count: exhausted */
	uint64_t ms;
	size_t started;
	size_t most_in_flight;
};

static void end_connects(struct attempt *a, const struct peer *peers, uint64_t now)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct attempt_candidate *c = &a->candidates[i];

		if (c->state != ATTEMPT_STATE_CONNECTING || now - c->begun_ms < peers[i].after_ms)
			continue;
		if (peers[i].class == NAL_CLASS_OK)
			attempt_connected(a, i, now);
		else
			attempt_failed(a, i, peers[i].class, now);
	}
}

static size_t in_flight(const struct attempt *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->count; i++)
		n += a->candidates[i].state == ATTEMPT_STATE_CONNECTING;
	return n;
}

/* Drive the machine in steps of a millisecond until it uses one or gives up. */
static struct run drive(struct attempt *a, const struct peer *peers)
{
	struct run r = { .used = a->count };

	for (uint64_t now = BEGIN_MS; now < BEGIN_MS + 60000; now++) {
		struct attempt_step step;

		end_connects(a, peers, now);
		do {
			step = attempt_next(a, now);
			r.started += step.action == ATTEMPT_CONNECT;
			r.most_in_flight = MAX_OF(r.most_in_flight, in_flight(a));
			end_connects(a, peers, now);
		} while (step.action == ATTEMPT_CONNECT || step.action == ATTEMPT_ABANDON);
		r.ms = now - BEGIN_MS;
		if (step.action == ATTEMPT_USE)
			r.used = step.index;
		if (step.action != ATTEMPT_WAIT)
			return r;
		assert_in_range(step.wait_ms, 1, ATTEMPT_CONNECT_MS);
	}
	fail_msg("the machine does not end");
	return r;
}

static void the_best_ranked_that_connects_is_used(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct peer peers[5];
		size_t count, want;
		uint64_t within_ms;
		size_t starts_at_most;
	} cases[] = {
		{ "the first, when it connects",
		  { { 10, NAL_CLASS_OK }, { 0, NAL_CLASS_OK } },
		  2,
		  0,
		  10,
		  1 },
		{ "a quick second does not beat a slower first",
		  { { 500, NAL_CLASS_OK }, { 0, NAL_CLASS_OK }, { 0, NAL_CLASS_OK } },
		  3,
		  0,
		  500,
		  2 },
		{ "the second, once the first was refused",
		  { { 2, NAL_CLASS_UNREACHABLE }, { 10, NAL_CLASS_OK } },
		  2,
		  1,
		  13,
		  2 },
		{ "the second, once the first has had its second",
		  { BLACK_HOLE, { 10, NAL_CLASS_OK } },
		  2,
		  1,
		  1000,
		  2 },
		{ "nothing behind one in hand is started",
		  { BLACK_HOLE, { 10, NAL_CLASS_OK }, { 0, NAL_CLASS_OK }, { 0, NAL_CLASS_OK } },
		  4,
		  1,
		  1000,
		  2 },
		{ "refusals cost no stagger",
		  { { 0, NAL_CLASS_UNREACHABLE },
		    { 0, NAL_CLASS_UNREACHABLE },
		    { 0, NAL_CLASS_UNREACHABLE },
		    { 0, NAL_CLASS_UNREACHABLE },
		    { 5, NAL_CLASS_OK } },
		  5,
		  4,
		  6,
		  5 },
		{ "none", { { 0, NAL_CLASS_UNREACHABLE }, BLACK_HOLE }, 2, 2, 1000, 2 },
		{ "an empty list", { { 0, NAL_CLASS_OK } }, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(attempt) struct attempt a;
		struct run r;

		attempt_init(&a, cases[i].count, BEGIN_MS);
		r = drive(&a, cases[i].peers);
		if (r.used != cases[i].want || r.ms > cases[i].within_ms ||
		    r.started > cases[i].starts_at_most)
			fail_msg("%s: used %zu after %llu ms with %zu started", cases[i].why,
				 r.used, (unsigned long long)r.ms, r.started);
	}
}

static void an_open_way_is_used_without_connecting(void **state UNUSED)
{
	static const struct peer peers[] = { { 0, NAL_CLASS_OK }, { 0, NAL_CLASS_OK } };
	SCOPED(attempt) struct attempt a;
	struct run r;

	attempt_init(&a, 2, BEGIN_MS);
	attempt_opened(&a, 0);
	r = drive(&a, peers);
	assert_int_equal(r.used, 0);
	assert_int_equal(r.started, 0);
	assert_true(a.candidates[0].was_open);
}

static void an_open_way_waits_for_better_ranks(void **state UNUSED)
{
	static const struct peer peers[] = { { 700, NAL_CLASS_OK }, { 0, NAL_CLASS_OK } };
	SCOPED(attempt) struct attempt a;
	struct run r;

	attempt_init(&a, 2, BEGIN_MS);
	attempt_opened(&a, 1);
	r = drive(&a, peers);
	assert_int_equal(r.used, 0);
	assert_int_equal(r.ms, 700);
}

static void a_failure_in_use_moves_on(void **state UNUSED)
{
	static const struct peer peers[] = { { 1, NAL_CLASS_OK }, { 1, NAL_CLASS_OK } };
	SCOPED(attempt) struct attempt a;
	struct run r;

	attempt_init(&a, 2, BEGIN_MS);
	r = drive(&a, peers);
	assert_int_equal(r.used, 0);
	attempt_failed(&a, 0, NAL_CLASS_CONTENT_MISSING, BEGIN_MS + 2);
	r = drive(&a, peers);
	assert_int_equal(r.used, 1);
	assert_int_equal(a.candidates[0].class, NAL_CLASS_CONTENT_MISSING);
	attempt_failed(&a, 1, NAL_CLASS_CORRUPT, BEGIN_MS + 9);
	assert_int_equal(attempt_next(&a, BEGIN_MS + 9).action, ATTEMPT_EXHAUSTED);
}

/* Once: the second time it was not open. */
static void an_open_way_that_was_closed_is_connected(void **state UNUSED)
{
	static const struct peer peers[] = { { 5, NAL_CLASS_OK }, { 0, NAL_CLASS_OK } };
	SCOPED(attempt) struct attempt a;
	struct run r;

	attempt_init(&a, 2, BEGIN_MS);
	attempt_opened(&a, 0);
	assert_int_equal(drive(&a, peers).used, 0);
	attempt_closed(&a, 0);
	r = drive(&a, peers);
	assert_int_equal(r.used, 0);
	assert_int_equal(r.started, 1);
	assert_int_equal(r.ms, 5);
	assert_false(a.candidates[0].was_open);
	attempt_failed(&a, 0, NAL_CLASS_UNREACHABLE, BEGIN_MS + 9);
	assert_int_equal(drive(&a, peers).used, 1);
}

/* P9: 20 dead candidates cost at most 3 s, 100 at most 12 s. */
static void dead_candidates_cost_bounded_time(void **state UNUSED)
{
	static const struct {
		size_t count;
		uint64_t within_ms;
	} cases[] = { { 1, 1000 }, { 20, 2400 }, { 100, 6600 } };
	struct peer peers[100];

	for (size_t i = 0; i < COUNT_OF(peers); i++)
		peers[i] = (struct peer)BLACK_HOLE;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(attempt) struct attempt a;
		struct run r;

		attempt_init(&a, cases[i].count, BEGIN_MS);
		r = drive(&a, peers);
		assert_int_equal(r.used, cases[i].count);
		assert_in_range(r.ms, 1000, cases[i].within_ms);
		assert_in_range(r.most_in_flight, 1, ATTEMPT_IN_FLIGHT_MAX);
		assert_int_equal(a.candidates[0].class, NAL_CLASS_TIMEOUT);
		assert_int_equal(a.candidates[0].ms, 1000);
	}
}

/* Ventured starts keep their pace; a failed connect's successor comes besides, and in rank order.
 */
static void a_failed_connect_is_replaced_at_once(void **state UNUSED)
{
	static const uint32_t want[] = { 0, 100, 130, 200, 300 };
	SCOPED(attempt) struct attempt a;
	size_t next = 0;

	attempt_init(&a, COUNT_OF(want), BEGIN_MS);
	for (uint64_t ms = 0; ms < 400; ms++) {
		struct attempt_step step;

		if (ms == 130)
			attempt_failed(&a, 1, NAL_CLASS_UNREACHABLE, BEGIN_MS + ms);
		while ((step = attempt_next(&a, BEGIN_MS + ms)).action == ATTEMPT_CONNECT) {
			assert_int_equal(step.index, next);
			assert_int_equal(ms, want[next++]);
		}
	}
	assert_int_equal(next, COUNT_OF(want));
}

/* A start that comes late does not delay those behind it; after a pause there is no burst. */
static void the_pace_neither_drifts_nor_bursts(void **state UNUSED)
{
	static const uint64_t asked[] = { 0, 107, 201, 305, 650, 651, 700 };
	static const bool starts[] = { true, true, true, true, true, false, false };
	SCOPED(attempt) struct attempt a;

	attempt_init(&a, COUNT_OF(asked), BEGIN_MS);
	for (size_t i = 0; i < COUNT_OF(asked); i++)
		assert_int_equal(attempt_next(&a, BEGIN_MS + asked[i]).action == ATTEMPT_CONNECT,
				 starts[i]);
}

/* While one is in use nobody looks after the others: that is not held against them. */
static void time_elsewhere_is_not_counted(void **state UNUSED)
{
	SCOPED(attempt) struct attempt a;

	attempt_init(&a, 2, BEGIN_MS);
	assert_int_equal(attempt_next(&a, BEGIN_MS).action, ATTEMPT_CONNECT);
	assert_int_equal(attempt_next(&a, BEGIN_MS + 100).action, ATTEMPT_CONNECT);
	attempt_connected(&a, 0, BEGIN_MS + 150);
	assert_int_equal(attempt_next(&a, BEGIN_MS + 150).action, ATTEMPT_USE);
	attempt_failed(&a, 0, NAL_CLASS_TIMEOUT, BEGIN_MS + 5150);
	attempt_away(&a, 5000);
	assert_int_equal(attempt_next(&a, BEGIN_MS + 5150).action, ATTEMPT_WAIT);
	attempt_connected(&a, 1, BEGIN_MS + 5160);
	assert_int_equal(a.candidates[1].ms, 60);
	assert_int_equal(attempt_next(&a, BEGIN_MS + 5160).action, ATTEMPT_USE);
}

TESTING_MAIN(cmocka_unit_test(the_best_ranked_that_connects_is_used),
	     cmocka_unit_test(an_open_way_is_used_without_connecting),
	     cmocka_unit_test(an_open_way_waits_for_better_ranks),
	     cmocka_unit_test(a_failure_in_use_moves_on),
	     cmocka_unit_test(an_open_way_that_was_closed_is_connected),
	     cmocka_unit_test(dead_candidates_cost_bounded_time),
	     cmocka_unit_test(a_failed_connect_is_replaced_at_once),
	     cmocka_unit_test(time_elsewhere_is_not_counted),
	     cmocka_unit_test(the_pace_neither_drifts_nor_bursts), )
