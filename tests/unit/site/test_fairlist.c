/* Who gets a place where very many want one. */
#include "site/fairlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "support/testing.h"

#define MAX   100
#define SHARE 20

/* The sender whose upload has each place; what a caller does. */
struct holding {
	struct fairlist *list;
	char places[MAX][FAIRLIST_SENDER_SIZE];
	size_t given;
};

static void open_holding(struct holding *h, uint64_t seed)
{
	memset(h, 0, sizeof(*h));
	h->list = fairlist_new(MAX, SHARE, seed);
}

static size_t place(struct holding *h, const char *sender)
{
	size_t at = fairlist_place(h->list, sender);

	if (at == FAIRLIST_NONE)
		return at;
	assert_true(at <= h->given && at < MAX);
	h->given += at == h->given;
	snprintf(h->places[at], sizeof(h->places[at]), "%s", sender);
	return at;
}

static size_t count_of(const struct holding *h, const char *sender)
{
	size_t count = 0;

	for (size_t i = 0; i < h->given; i++)
		count += fairlist_is_live(h->list, i) && strcmp(h->places[i], sender) == 0;
	return count;
}

static void few_have_all_they_want(void **state UNUSED)
{
	struct holding h;

	open_holding(&h, 1);
	for (size_t i = 0; i < SHARE; i++)
		assert_int_equal(place(&h, "a"), i);
	assert_int_equal(place(&h, "b"), SHARE);
	assert_false(fairlist_is_cut(h.list));
	fairlist_free(h.list);
}

static void one_that_floods_has_its_share_and_no_more(void **state UNUSED)
{
	struct holding h;

	open_holding(&h, 2);
	for (size_t i = 0; i < 100000; i++)
		(void)!place(&h, "flood");
	for (size_t i = 0; i < 5; i++)
		assert_int_not_equal(place(&h, "quiet"), FAIRLIST_NONE);
	assert_int_equal(count_of(&h, "flood"), SHARE);
	assert_int_equal(count_of(&h, "quiet"), 5);
	assert_true(fairlist_is_cut(h.list));
	fairlist_free(h.list);
}

/* Ten who flood want twice of what there is; who comes last finds room all the same. */
static void when_all_is_taken_everybody_gives_way(void **state UNUSED)
{
	struct holding h;
	char name[16];

	open_holding(&h, 3);
	for (size_t i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "flood%zu", i % 10);
		(void)!place(&h, name);
	}
	for (size_t i = 0; i < 5; i++)
		assert_int_not_equal(place(&h, "quiet"), FAIRLIST_NONE);
	assert_int_equal(count_of(&h, "quiet"), 5);
	for (size_t i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "flood%zu", i);
		assert_in_range(count_of(&h, name), 5, 10);
	}
	fairlist_free(h.list);
}

static void more_senders_than_places_have_one_each(void **state UNUSED)
{
	struct holding h;
	char name[16];
	size_t live = 0;

	open_holding(&h, 4);
	for (size_t i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "s%zu", i % 300);
		(void)!place(&h, name);
	}
	for (size_t i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		assert_in_range(count_of(&h, name), 0, 1);
		live += count_of(&h, name);
	}
	assert_int_equal(live, MAX);
	fairlist_free(h.list);
}

/* Among many of one sender's each has the same chance: nobody can order names so that one loses. */
static void which_of_ones_own_is_drawn(void **state UNUSED)
{
	unsigned int first = 0, last = 0;

	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct fairlist *list = fairlist_new(4, 1, seed);
		size_t held = 0;

		for (size_t i = 0; i < 4; i++)
			if (fairlist_place(list, "a") != FAIRLIST_NONE)
				held = i;
		first += held == 0;
		last += held == 3;
		fairlist_free(list);
	}
	/* 500 each; five deviations are 97. */
	assert_in_range(first, 403, 597);
	assert_in_range(last, 403, 597);
}

TESTING_MAIN(cmocka_unit_test(few_have_all_they_want),
	     cmocka_unit_test(one_that_floods_has_its_share_and_no_more),
	     cmocka_unit_test(when_all_is_taken_everybody_gives_way),
	     cmocka_unit_test(more_senders_than_places_have_one_each),
	     cmocka_unit_test(which_of_ones_own_is_drawn))
