#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "nal/shadow.h"

static struct netaddr_net net(const char *text)
{
	struct netaddr_net out;

	assert_true(netaddr_parse_net(&out, text));
	return out;
}

/* Which of the networks are shadowed, as a text of 0 and 1. */
static void assert_shadows(const char *want, const char *const *texts)
{
	struct netaddr_net nets[16] = { 0 };
	bool is_shadowed[16] = { false };
	char got[17] = "";
	size_t count = 0;

	for (; texts[count] != NULL; count++)
		nets[count] = net(texts[count]);
	shadow_find(is_shadowed, nets, count);
	for (size_t i = 0; i < count; i++)
		got[i] = is_shadowed[i] ? '1' : '0';
	assert_string_equal(got, want);
}

static void a_network_is_shadowed_by_longer_ones_that_cover_it(void **state UNUSED)
{
	assert_shadows("100",
		       (const char *const[]){ "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", NULL });
	assert_shadows("00", (const char *const[]){ "10.0.0.0/8", "10.0.0.0/9", NULL });
	assert_shadows("1000", (const char *const[]){ "10.1.0.0/16", "10.1.128.0/17", "10.1.0.0/18",
						      "10.1.64.0/18", NULL });
	assert_shadows("11000", (const char *const[]){ "10.1.2.0/30", "10.1.2.0/31", "10.1.2.0/32",
						       "10.1.2.1/32", "10.1.2.2/31", NULL });
	assert_shadows("100",
		       (const char *const[]){ "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", NULL });
	assert_shadows("100", (const char *const[]){ "::/0", "::/1", "8000::/1", NULL });
	assert_shadows("00", (const char *const[]){ "::/0", "0.0.0.0/0", NULL });
	assert_shadows("00", (const char *const[]){ "10.0.0.0/8", "10.0.0.0/8", NULL });
	assert_shadows("", (const char *const[]){ NULL });
}

/* Every address of a small network, counted. */
static bool is_shadowed_by_counting(const struct netaddr_net *nets, size_t count, size_t which)
{
	struct netaddr address = nets[which].base;

	for (unsigned int last = 0; last < 256; last++) {
		bool is_covered = false;

		address.bytes[3] = (uint8_t)last;
		if (!netaddr_net_contains(&nets[which], &address))
			continue;
		for (size_t i = 0; i < count; i++)
			is_covered |= nets[i].prefix > nets[which].prefix &&
				      netaddr_net_contains(&nets[i], &address);
		if (!is_covered)
			return false;
	}
	return true;
}

static void random_networks_equal_the_count_of_their_addresses(void **state UNUSED)
{
	struct random_seq draw;
	size_t shadowed = 0;

	random_seq_init(&draw, 7, "shadow");
	for (int round = 0; round < 3000; round++) {
		struct netaddr_net nets[12] = { 0 };
		bool is_shadowed[12];
		size_t count = 1 + random_seq_below(&draw, 12);

		for (size_t i = 0; i < count; i++) {
			uint8_t host = (uint8_t)random_seq_below(&draw, 4);

			nets[i] = net("10.0.0.0/30");
			nets[i].prefix = (uint8_t)(29 + random_seq_below(&draw, 4));
			nets[i].base.bytes[3] = (uint8_t)(host << 1) &
						(uint8_t)(0xffu << (32 - nets[i].prefix));
		}
		shadow_find(is_shadowed, nets, count);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(is_shadowed[i], is_shadowed_by_counting(nets, count, i));
			shadowed += is_shadowed[i];
		}
	}
	assert_true(shadowed > 100);
}

TESTING_MAIN(cmocka_unit_test(a_network_is_shadowed_by_longer_ones_that_cover_it),
	     cmocka_unit_test(random_networks_equal_the_count_of_their_addresses), )
