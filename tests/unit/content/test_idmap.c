#include "content/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "support/testing.h"

#define ITEMS 5000u

static const struct digest *item_at(uint32_t number, const void *ctx)
{
	return (const struct digest *)ctx + number;
}

static void every_item_is_found_again(void **state UNUSED)
{
	struct digest *items = alloc_zeroed(ITEMS + 1, sizeof(*items));
	struct idmap map = { 0 };

	for (uint32_t i = 0; i <= ITEMS; i++)
		digest_of(&items[i], span_of(&i, sizeof(i)));
	assert_int_equal(idmap_find(&map, &items[0], item_at, items), IDMAP_NONE);
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_true(idmap_put(&map, i, item_at, items));
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(idmap_find(&map, &items[i], item_at, items), i);
	assert_int_equal(idmap_find(&map, &items[ITEMS], item_at, items), IDMAP_NONE);
	idmap_release(&map);
	free(items);
}

static void the_first_of_equal_items_counts(void **state UNUSED)
{
	const struct digest items[3] = { { { 1 } }, { { 2 } }, { { 1 } } };
	struct idmap map = { 0 };

	for (uint32_t i = 0; i < COUNT_OF(items); i++)
		assert_true(idmap_put(&map, i, item_at, items));
	assert_int_equal(map.count, 2);
	assert_int_equal(idmap_find(&map, &items[2], item_at, items), 0);
	idmap_release(&map);
}

static void made_up_collisions_are_told(void **state UNUSED)
{
	struct digest *items = alloc_zeroed(ITEMS, sizeof(*items));
	struct idmap map = { 0 };
	uint32_t taken = 0;

	for (uint32_t i = 0; i < ITEMS; i++)
		memcpy(items[i].bytes + 8, &i, sizeof(i));
	while (taken < ITEMS && idmap_put(&map, taken, item_at, items))
		taken++;
	assert_in_range(taken, 100, 300);
	idmap_release(&map);
	free(items);
}

TESTING_MAIN(cmocka_unit_test(every_item_is_found_again),
	     cmocka_unit_test(the_first_of_equal_items_counts),
	     cmocka_unit_test(made_up_collisions_are_told))
