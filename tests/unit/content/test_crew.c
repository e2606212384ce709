#include "support/testing.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "content/crew.h"

#define JOBS 2000

struct tally {
	atomic_uint done;
	uint8_t seen[JOBS]; /* each written by one job only */
	atomic_uint member_max;
};

static struct tally *tally_of(void *ctx)
{
	return ctx;
}

static void count_job(void *ctx, unsigned member, void *job)
{
	struct tally *t = tally_of(ctx);
	unsigned max = atomic_load(&t->member_max);

	while (member > max && !atomic_compare_exchange_weak(&t->member_max, &max, member))
		;
	t->seen[(uintptr_t)job]++;
	atomic_fetch_add(&t->done, 1);
}

static void every_job_is_done_once(void **state UNUSED)
{
	for (unsigned threads = 0; threads <= 3; threads++) {
		struct tally t = { 0 };
		SCOPED(crew) struct crew *crew = crew_new(threads, 4, count_job, &t);

		for (uintptr_t n = 0; n < JOBS; n++)
			crew_give(crew, (void *)n);
		crew_drain(crew);
		assert_int_equal(atomic_load(&t.done), JOBS);
		for (size_t n = 0; n < JOBS; n++)
			assert_int_equal(t.seen[n], 1);
		assert_true(atomic_load(&t.member_max) < crew_size(crew));
	}
}

static void freeing_finishes_what_was_given(void **state UNUSED)
{
	struct tally t = { 0 };
	struct crew *crew = crew_new(1, 16, count_job, &t);

	for (uintptr_t n = 0; n < 10; n++)
		crew_give(crew, (void *)n);
	crew_free(crew);
	assert_int_equal(atomic_load(&t.done), 10);
}

#define ITEMS 50

struct sharing {
	struct crew *crew;
	atomic_uint done;
	atomic_uint seen[ITEMS];
	atomic_uint members; /* a bit for each that did an item */
};

static void count_item(void *ctx, unsigned member, unsigned item)
{
	struct sharing *s = ctx;

	atomic_fetch_add(&s->seen[item], 1);
	atomic_fetch_or(&s->members, 1u << member);
	usleep(200); /* long enough for another to come */
}

static void share_job(void *ctx, unsigned member, void *job UNUSED)
{
	struct sharing *s = ctx;

	crew_share(s->crew, member, count_item, s, ITEMS);
	crew_share(s->crew, member, count_item, s, 0);
	atomic_fetch_add(&s->done, 1);
}

static void shared_items_are_done_once_each_before_their_job_ends(void **state UNUSED)
{
	for (unsigned jobs = 1; jobs <= 3; jobs++) {
		for (unsigned threads = 0; threads <= 3; threads++) {
			struct sharing s = { 0 };

			s.crew = crew_new(threads, 4, share_job, &s);
			for (unsigned n = 0; n < jobs; n++)
				crew_give(s.crew, NULL);
			crew_drain(s.crew);
			assert_int_equal(atomic_load(&s.done), jobs);
			for (size_t n = 0; n < ITEMS; n++)
				assert_int_equal(atomic_load(&s.seen[n]), jobs);
			assert_true(atomic_load(&s.members) < 1u << crew_size(s.crew));
			crew_free(s.crew);
		}
	}
}

/* The one job's work is done by the member that waits for it as well. */
static void who_waits_takes_part(void **state UNUSED)
{
	for (int tries = 0; tries < 1000; tries++) {
		struct sharing s = { 0 };
		unsigned both;

		s.crew = crew_new(1, 4, share_job, &s);
		both = crew_size(s.crew) > 1 ? 3 : 1;
		crew_give(s.crew, NULL);
		crew_drain(s.crew);
		crew_free(s.crew);
		if (atomic_load(&s.members) == both)
			return;
	}
	fail_msg("no item was ever taken by another member");
}

TESTING_MAIN(cmocka_unit_test(every_job_is_done_once),
	     cmocka_unit_test(shared_items_are_done_once_each_before_their_job_ends),
	     cmocka_unit_test(who_waits_takes_part),
	     cmocka_unit_test(freeing_finishes_what_was_given))
