#include "support/testing.h"

#include <stdio.h>

#include "common/random.h"
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

/* The index, for very many clients, says what the plain search says. */
static void the_index_finds_what_the_search_finds(void **state UNUSED)
{
	static const char *const nets[] = { "0.0.0.0/0",   "10.0.0.0/8",    "10.1.0.0/16",
					    "10.1.0.0/17", "10.1.2.0/24",   "10.1.2.3/32",
					    "10.2.0.0/15", "2001:db8::/32", "2001:db8:1::/48",
					    "::/0" };
	static const char *const places[] = { "10.1.2.3",    "10.1.2.4",  "10.1.200.1",
					      "10.3.0.1",    "192.0.2.1", "2001:db8:1::9",
					      "2001:db8::1", "fd00::1" };
	struct random_seq draw;

	random_seq_init(&draw, 11, "index");
	for (int round = 0; round < 5000; round++) {
		SCOPED(choice) struct choice *c = choice_new();
		SCOPED(boundary_index) struct boundary_index *index = NULL;
		struct boundary_match plain, indexed;
		struct err err = { 0 };
		char line[256];

		for (int g = 0; g < 4; g++) {
			snprintf(line, sizeof(line), "group g%d %s %s", g,
				 nets[random_seq_below(&draw, COUNT_OF(nets))],
				 nets[random_seq_below(&draw, COUNT_OF(nets))]);
			assert_done(choice_line(c, line, &err), &err);
		}
		snprintf(line, sizeof(line), "client %s %s",
			 places[random_seq_below(&draw, COUNT_OF(places))],
			 places[random_seq_below(&draw, COUNT_OF(places))]);
		assert_done(choice_line(c, line, &err), &err);
		index = boundary_index_new(c->groups, c->input.group_count);
		plain = boundary_find(c->groups, c->input.group_count, c->client, 2);
		indexed = boundary_index_find(index, c->client, 2);
		assert_ptr_equal(indexed.group, plain.group);
		assert_ptr_equal(indexed.address, plain.address);
	}
}

static void an_index_of_nothing_finds_nothing(void **state UNUSED)
{
	SCOPED(choice) struct choice *c = choice_of("client 10.1.2.3");
	SCOPED(boundary_index) struct boundary_index *index = boundary_index_new(NULL, 0);

	assert_null(boundary_index_find(index, c->client, 1).group);
	assert_null(boundary_index_find(index, c->client, 0).group);
}

TESTING_MAIN(cmocka_unit_test(ties_are_found_for_the_site_to_refuse),
	     cmocka_unit_test(the_match_names_network_and_address),
	     cmocka_unit_test(the_index_finds_what_the_search_finds),
	     cmocka_unit_test(an_index_of_nothing_finds_nothing), )
