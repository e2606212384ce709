#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/arena.h"

static void texts_stay_where_they_are_until_the_release(void **state UNUSED)
{
	SCOPED(arena) struct arena a = { 0 };
	const char *texts[5000];

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		SCOPED_TEXT char *text = alloc_printf("text %zu of many", i);

		texts[i] = arena_text(&a, span_of_text(text));
	}
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		SCOPED_TEXT char *want = alloc_printf("text %zu of many", i);

		assert_string_equal(texts[i], want);
	}
}

static void a_text_larger_than_any_block_fits(void **state UNUSED)
{
	SCOPED(arena) struct arena a = { 0 };
	const char *before = arena_text(&a, span_of_text("before"));
	char *room = arena_room(&a, 1 << 20);
	const char *after = arena_text(&a, span_of_text("after"));

	memset(room, 'x', 1 << 20);
	assert_string_equal(before, "before");
	assert_string_equal(after, "after");
}

static void what_is_used_is_counted_with_its_terminators(void **state UNUSED)
{
	struct arena a = { 0 };

	assert_string_equal(arena_text(&a, span_of_text("")), "");
	assert_int_equal(a.used, 1);
	assert_string_equal(arena_text(&a, span_of("abcdef", 3)), "abc");
	assert_int_equal(a.used, 5);
	arena_release(&a);
	assert_int_equal(a.used, 0);
	arena_release(&a);
}

static void a_growing_array_keeps_what_it_holds(void **state UNUSED)
{
	size_t count = 0;
	int *numbers = NULL;

	for (int i = 0; i < 1000; i++) {
		ALLOC_GROW(numbers, count);
		numbers[count++] = i;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], i);
	free(numbers);
}

TESTING_MAIN(cmocka_unit_test(texts_stay_where_they_are_until_the_release),
	     cmocka_unit_test(a_text_larger_than_any_block_fits),
	     cmocka_unit_test(what_is_used_is_counted_with_its_terminators),
	     cmocka_unit_test(a_growing_array_keeps_what_it_holds))
