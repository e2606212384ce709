/*
 * What every unit test includes: cmocka with its prerequisites, and a main that runs all cases or
 * those that a pattern on the command line names.
 */
#ifndef TESTS_SUPPORT_TESTING_H
#define TESTS_SUPPORT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/random.h"

/* Fail with the fault's own words where something that should work did not. */
#define assert_done(call, err)                                                      \
	do {                                                                        \
		if (!(call))                                                        \
			fail_msg("%s: %s: %s [%s]", #call, (err)->what, (err)->why, \
				 err_name((err)->code));                            \
	} while (0)

/* TESTING_MAIN(cmocka_unit_test(behaviour), …): the whole of a test program's main. */
#define TESTING_MAIN(...)                                                                     \
	int main(int argc, char **argv)                                                       \
	{                                                                                     \
		const struct CMUnitTest cases[] = { __VA_ARGS__ };                            \
                                                                                              \
		if (argc > 1)                                                                 \
			cmocka_set_test_filter(argv[1]);                                      \
		return cmocka_run_group_tests_name(path_base_of(argv[0]), cases, NULL, NULL); \
	}

/* Of what is measured: a busy machine makes one try late, a fault each of them. */
#define TESTING_TRIES 4

/* What a case draws from: PACKWAY_TEST_SEED, or another one each time. It is printed. */
static inline uint64_t testing_seed(void)
{
	const char *text = getenv("PACKWAY_TEST_SEED");
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	if (text != NULL)
		seed = strtoull(text, NULL, 10);
	print_message("# seed %llu\n", (unsigned long long)seed);
	return seed;
}

static inline const char *path_base_of(const char *path)
{
	const char *slash = __builtin_strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

#endif
