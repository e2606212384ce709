#include "support/testing.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "common/random.h"

/* What the kernel does to the next calls (linked with --wrap=getrandom). */
static struct {
	unsigned int interrupted; /* so many calls fail with EINTR */
	size_t at_most;           /* 0: no limit */
	unsigned int calls;
} kernel;

ssize_t __real_getrandom(void *dst, size_t size, unsigned int flags);
ssize_t __wrap_getrandom(void *dst, size_t size, unsigned int flags);
ssize_t __wrap_getrandom(void *dst, size_t size, unsigned int flags)
{
	kernel.calls++;
	if (kernel.interrupted > 0) {
		kernel.interrupted--;
		errno = EINTR;
		return -1;
	}
	return __real_getrandom(dst, kernel.at_most != 0 ? MIN_OF(size, kernel.at_most) : size,
				flags);
}

static void short_answers_are_gone_on_with(void **state UNUSED)
{
	uint8_t bytes[4096] = { 0 };
	size_t zeros = 0;

	kernel.at_most = 256;
	kernel.calls = 0;
	random_bytes(bytes, sizeof(bytes));
	kernel.at_most = 0;
	assert_int_equal(kernel.calls, 16);
	for (size_t i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	/* 16 are expected; 100 are as good as impossible. */
	assert_true(zeros < 100);
}

/* As early at boot, while the pool is not ready and a signal comes. */
static void an_interrupted_call_is_repeated(void **state UNUSED)
{
	uint8_t bytes[16] = { 0 };
	static const uint8_t zeros[16];

	kernel.interrupted = 3;
	random_bytes(bytes, sizeof(bytes));
	assert_int_equal(kernel.interrupted, 0);
	assert_memory_not_equal(bytes, zeros, sizeof(bytes));
}

static void nothing_is_asked_for_nothing(void **state UNUSED)
{
	kernel.calls = 0;
	random_bytes(NULL, 0);
	assert_int_equal(kernel.calls, 0);
}

static void a_uuid_has_its_form_and_is_new(void **state UNUSED)
{
	char one[37], two[37];

	for (int i = 0; i < 200; i++) {
		random_uuid(one);
		random_uuid(two);
		assert_string_not_equal(one, two);
		assert_int_equal(strlen(one), 36);
		assert_int_equal(strspn(one, "0123456789abcdef-"), 36);
		assert_true(one[8] == '-' && one[13] == '-' && one[18] == '-' && one[23] == '-');
		assert_int_equal(one[14], '4');
		assert_non_null(strchr("89ab", one[19]));
	}
}

static void one_seed_gives_one_sequence(void **state UNUSED)
{
	struct random_seq a, b, other_seed, other_stream;

	random_seq_init(&a, 1, "choice");
	random_seq_init(&b, 1, "choice");
	random_seq_init(&other_seed, 2, "choice");
	random_seq_init(&other_stream, 1, "jitter");
	for (int i = 0; i < 100; i++) {
		uint64_t value = random_seq_next(&a);

		assert_true(value == random_seq_next(&b));
		assert_true(value != random_seq_next(&other_seed));
		assert_true(value != random_seq_next(&other_stream));
	}
}

/* Explanations that were recorded must draw the same tomorrow: these values may never change. */
static void the_sequence_is_that_of_yesterday(void **state UNUSED)
{
	static const uint64_t want[] = { 0x23220070242c5843u, 0x4df5f2e9999fedf8u,
					 0xc828d8f80a6ffc21u };
	struct random_seq r;

	random_seq_init(&r, 1, "choice");
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_true(random_seq_next(&r) == want[i]);
}

static void draws_are_uniform_below_any_bound(void **state UNUSED)
{
	/* Chi-square bounds at 0.001 for bound - 1 degrees of freedom. */
	static const struct {
		uint64_t below;
		double at_most;
	} cases[] = { { 2, 10.828 }, { 3, 13.816 }, { 7, 22.458 }, { 10, 27.877 } };
	struct random_seq r;

	random_seq_init(&r, 42, "uniform");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		double counts[10] = { 0 }, mean = 20000.0 / (double)cases[i].below, sum = 0;

		for (int n = 0; n < 20000; n++)
			counts[random_seq_below(&r, cases[i].below)] += 1;
		for (size_t k = 0; k < cases[i].below; k++)
			sum += (counts[k] - mean) * (counts[k] - mean) / mean;
		if (sum > cases[i].at_most)
			fail_msg("below %u: chi-square %f", (unsigned int)cases[i].below, sum);
	}
}

static void the_ends_of_the_range_hold(void **state UNUSED)
{
	static const uint64_t bounds[] = { 1, 2, ((uint64_t)1 << 63) + 1, UINT64_MAX };
	struct random_seq r;

	random_seq_init(&r, 7, "ends");
	for (size_t i = 0; i < COUNT_OF(bounds); i++)
		for (int n = 0; n < 1000; n++)
			assert_true(random_seq_below(&r, bounds[i]) < bounds[i]);
}

TESTING_MAIN(cmocka_unit_test(short_answers_are_gone_on_with),
	     cmocka_unit_test(an_interrupted_call_is_repeated),
	     cmocka_unit_test(nothing_is_asked_for_nothing),
	     cmocka_unit_test(a_uuid_has_its_form_and_is_new),
	     cmocka_unit_test(one_seed_gives_one_sequence),
	     cmocka_unit_test(the_sequence_is_that_of_yesterday),
	     cmocka_unit_test(draws_are_uniform_below_any_bound),
	     cmocka_unit_test(the_ends_of_the_range_hold))
