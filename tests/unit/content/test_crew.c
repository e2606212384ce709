#include "support/testing.h"

#include <stdatomic.h>
#include <string.h>

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

TESTING_MAIN(cmocka_unit_test(every_job_is_done_once),
	     cmocka_unit_test(freeing_finishes_what_was_given))
