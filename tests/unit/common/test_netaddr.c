#include "support/testing.h"

#include <string.h>

#include "common/netaddr.h"

static void addresses_are_read_and_printed_in_one_form(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ "IPv4", "10.1.2.3", "10.1.2.3" },
		{ "IPv4, all ones", "255.255.255.255", "255.255.255.255" },
		{ "IPv6 in full", "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
		{ "IPv6 in capitals", "2001:DB8::A", "2001:db8::a" },
		{ "the first of two equal gaps is shortened", "1:0:0:2:0:0:3:4", "1::2:0:0:3:4" },
		{ "IPv6, unspecified", "::", "::" },
		{ "IPv6, itself", "::1", "::1" },
		{ "mapped is IPv4", "::ffff:10.1.2.3", "10.1.2.3" },
		{ "mapped in hexadecimal is IPv4", "::ffff:0a01:0203", "10.1.2.3" },
		{ "mapped in full", "0:0:0:0:0:FFFF:10.1.2.3", "10.1.2.3" },
		{ "nearly mapped is not", "::fffe:10.1.2.3", "::fffe:a01:203" },
		{ "translated (RFC 2765) is not", "::ffff:0:10.1.2.3", "::ffff:0:a01:203" },
		{ "a number too great", "10.1.2.256", NULL },
		{ "three numbers", "10.1.2", NULL },
		{ "one number", "167838211", NULL },
		{ "octal", "010.1.2.3", NULL },
		{ "hexadecimal", "0xa.1.2.3", NULL },
		{ "a port", "10.1.2.3:80", NULL },
		{ "brackets", "[::1]", NULL },
		{ "a zone", "fe80::1%eth0", NULL },
		{ "two gaps", "1::2::3", NULL },
		{ "nine groups", "1:2:3:4:5:6:7:8:9", NULL },
		{ "five digits", "12345::", NULL },
		{ "a space before", " 10.1.2.3", NULL },
		{ "a newline behind", "10.1.2.3\n", NULL },
		{ "a network", "10.1.2.3/32", NULL },
		{ "a name", "localhost", NULL },
		{ "nothing", "", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[NETADDR_TEXT_MAX] = "";
		struct netaddr a;
		bool fine = netaddr_parse(&a, cases[i].in);

		if (fine)
			netaddr_print(text, &a);
		if (fine != (cases[i].want != NULL) || (fine && strcmp(text, cases[i].want) != 0))
			fail_msg("%s: \"%s\" gave \"%s\"", cases[i].why, cases[i].in, text);
	}
}

static void networks_have_no_host_bits(void **state UNUSED)
{
	static const struct {
		const char *why, *in;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ "a network", "10.1.0.0/16", "10.1.0.0/16" },
		{ "everything", "0.0.0.0/0", "0.0.0.0/0" },
		{ "a host", "10.1.2.3", "10.1.2.3/32" },
		{ "a prefix inside a byte", "10.1.2.128/25", "10.1.2.128/25" },
		{ "IPv6", "2001:DB8::/32", "2001:db8::/32" },
		{ "all of IPv6", "::/0", "::/0" },
		{ "an IPv6 host", "::1", "::1/128" },
		{ "a prefix of 127", "2001:db8::2/127", "2001:db8::2/127" },
		{ "a host bit", "10.1.2.3/31", NULL },
		{ "a host bit inside a byte", "10.1.2.64/25", NULL },
		{ "a host bit of IPv6", "2001:db8::1/127", NULL },
		{ "a prefix of 33", "10.0.0.0/33", NULL },
		{ "a prefix of 129", "::/129", NULL },
		{ "a prefix past any number", "10.0.0.0/99999999999999999999", NULL },
		{ "no prefix behind the slash", "10.0.0.0/", NULL },
		{ "a negative prefix", "10.0.0.0/-1", NULL },
		{ "a mask", "10.0.0.0/255.0.0.0", NULL },
		{ "two prefixes", "10.0.0.0/8/8", NULL },
		{ "a space", "10.0.0.0 /8", NULL },
		{ "a prefix alone", "/8", NULL },
		{ "more text than an address has",
		  "00000000000000000000000000000000000000000000000000000000000000000000/8", NULL },
		/* A mapped network is the IPv4 network; its prefix counts the mapping's 96 bits. */
		{ "a mapped network", "::ffff:10.1.0.0/112", "10.1.0.0/16" },
		{ "all that is mapped", "::ffff:0.0.0.0/96", "0.0.0.0/0" },
		{ "a mapped host", "::ffff:10.1.2.3/128", "10.1.2.3/32" },
		{ "a mapped host without prefix", "::ffff:10.1.2.3", "10.1.2.3/32" },
		{ "a prefix inside the mapping", "::ffff:10.0.0.0/8", NULL },
		{ "a host bit of a mapped network", "::ffff:10.1.2.3/112", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[NETADDR_TEXT_MAX] = "";
		struct netaddr_net net;
		bool fine = netaddr_parse_net(&net, cases[i].in);

		if (fine)
			netaddr_print_net(text, &net);
		if (fine != (cases[i].want != NULL) || (fine && strcmp(text, cases[i].want) != 0))
			fail_msg("%s: \"%s\" gave \"%s\"", cases[i].why, cases[i].in, text);
	}
}

static void a_network_contains_what_shares_its_front(void **state UNUSED)
{
	static const struct {
		const char *net, *address;
		bool inside;
	} cases[] = {
		{ "10.1.0.0/16", "10.1.0.0", true },
		{ "10.1.0.0/16", "10.1.255.255", true },
		{ "10.1.0.0/16", "10.2.0.0", false },
		{ "10.1.0.0/16", "10.0.255.255", false },
		{ "10.1.2.128/25", "10.1.2.127", false },
		{ "10.1.2.128/25", "10.1.2.255", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "10.1.2.3", false },
		{ "::/0", "ffff::", true },
		{ "10.1.0.0/16", "::ffff:10.1.2.3", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true },
		{ "::1", "::2", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct netaddr_net net;
		struct netaddr address;

		assert_true(netaddr_parse_net(&net, cases[i].net));
		assert_true(netaddr_parse(&address, cases[i].address));
		if (netaddr_net_contains(&net, &address) != cases[i].inside)
			fail_msg("%s and %s", cases[i].net, cases[i].address);
	}
}

static void no_address_is_nowhere(void **state UNUSED)
{
	const struct netaddr none = { 0 };
	const struct netaddr_net no_net = { 0 };
	struct netaddr_net all;
	char text[NETADDR_TEXT_MAX];

	assert_true(netaddr_parse_net(&all, "0.0.0.0/0"));
	assert_false(netaddr_net_contains(&all, &none));
	assert_false(netaddr_net_contains(&no_net, &none));
	netaddr_print(text, &none);
	assert_string_equal(text, "none");
}

static void a_refused_text_changes_nothing(void **state UNUSED)
{
	struct netaddr a, before;
	struct netaddr_net net, net_before;

	assert_true(netaddr_parse(&a, "10.1.2.3"));
	assert_true(netaddr_parse_net(&net, "10.0.0.0/8"));
	before = a;
	net_before = net;
	assert_false(netaddr_parse(&a, "10.1.2.x"));
	assert_false(netaddr_parse_net(&net, "10.1.0.0/8"));
	assert_true(netaddr_equal(&a, &before));
	assert_true(netaddr_net_equal(&net, &net_before));
}

TESTING_MAIN(cmocka_unit_test(addresses_are_read_and_printed_in_one_form),
	     cmocka_unit_test(networks_have_no_host_bits),
	     cmocka_unit_test(a_network_contains_what_shares_its_front),
	     cmocka_unit_test(no_address_is_nowhere),
	     cmocka_unit_test(a_refused_text_changes_nothing))
