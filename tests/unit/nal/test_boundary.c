#include "support/testing.h"

#include "nal/boundary.h"
#include "support/choice.h"

/* The ten cases of finding a group are files under tests/cases/select. */
static void ties_are_found_for_the_site_to_refuse(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *fine = choice_of(
		"group a 10.0.0.0/8 10.1.0.0/16\ngroup b 10.2.0.0/16\ngroup c 2001:db8::/32");
	SCOPED(choice)
	struct choice *tied = choice_of(
		"group a 10.0.0.0/8\ngroup b 10.2.0.0/16\ngroup c 10.1.0.0/16 10.2.0.0/16");
	const struct boundary_group *one, *other;

	assert_false(boundary_tie(&one, &other, fine->groups, fine->input.group_count));
	assert_true(boundary_tie(&one, &other, tied->groups, tied->input.group_count));
	assert_string_equal(one->name, "b");
	assert_string_equal(other->name, "c");
}

static void the_match_names_network_and_address(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of("group a 10.0.0.0/8 10.1.0.0/16\nclient 192.0.2.1 10.1.2.3");
	struct boundary_match match = boundary_find(c->groups, 1, c->client, 2);

	assert_string_equal(match.group->name, "a");
	assert_int_equal(match.net->prefix, 16);
	assert_ptr_equal(match.address, &c->client[1]);
}

TESTING_MAIN(cmocka_unit_test(ties_are_found_for_the_site_to_refuse),
	     cmocka_unit_test(the_match_names_network_and_address), )
