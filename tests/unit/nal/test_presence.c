#include "support/testing.h"

#include "common/alloc.h"
#include "nal/presence.h"

#define BEGIN_MS 1000000

static void at(struct locator *out, const char *url)
{
	struct err err = { 0 };

	assert_done(locator_parse(out, url, &err), &err);
}

static void what_is_present_is_known_for_half_a_minute(void **state UNUSED)
{
	SCOPED(presence) struct presence *p = presence_new();
	SCOPED(locator) struct locator nas = { 0 }, other_port = { 0 }, other_share = { 0 };
	const struct probe there = { .presence = PROBE_PRESENT, .count = 1 };
	const struct probe gone = { .presence = PROBE_ABSENT, .count = 1 };
	struct probe got;

	at(&nas, "smb://nas/packway");
	at(&other_port, "smb://nas:4450/packway");
	at(&other_share, "smb://NAS/else");
	assert_false(presence_known(&got, p, &nas, BEGIN_MS));
	presence_learned(p, &nas, &there, BEGIN_MS);
	assert_true(presence_known(&got, p, &nas, BEGIN_MS + PRESENCE_TTL_MS - 1));
	assert_true(presence_known(&got, p, &other_share, BEGIN_MS));
	assert_false(presence_known(&got, p, &other_port, BEGIN_MS));
	assert_false(presence_known(&got, p, &nas, BEGIN_MS + PRESENCE_TTL_MS));
	presence_learned(p, &nas, &gone, BEGIN_MS);
	assert_false(presence_known(&got, p, &nas, BEGIN_MS));
	assert_true(presence_last(&got, p, &nas));
	assert_int_equal(got.presence, PROBE_ABSENT);
}

/* Q240158: servers are not stormed with probes, one by one or all together. */
static void probes_are_rationed(void **state UNUSED)
{
	SCOPED(presence) struct presence *p = presence_new();
	const struct probe there = { .presence = PROBE_PRESENT };
	SCOPED(locator) struct locator nas = { 0 };
	unsigned asked = 0;

	at(&nas, "smb://nas/packway");
	for (uint64_t ms = 0; ms < 10000; ms += 50) {
		if (!presence_may_ask(p, &nas, BEGIN_MS + ms))
			continue;
		presence_learned(p, &nas, &there, BEGIN_MS + ms);
		asked++;
	}
	assert_int_equal(asked, 10);
	for (int i = 0; i < 2000; i++) {
		SCOPED_TEXT char *url = alloc_printf("smb://dp%d/packway", i);
		SCOPED(locator) struct locator dp = { 0 };

		at(&dp, url);
		if (!presence_may_ask(p, &dp, BEGIN_MS + 10000))
			continue;
		presence_learned(p, &dp, &there, BEGIN_MS + 10000);
		asked++;
	}
	assert_int_equal(asked, PRESENCE_PER_MINUTE);
	assert_true(presence_may_ask(p, &nas, BEGIN_MS + 60000));
	assert_false(presence_may_ask(p, &nas, BEGIN_MS + 59999));
}

static void the_oldest_makes_room(void **state UNUSED)
{
	SCOPED(presence) struct presence *p = presence_new();
	const struct probe there = { .presence = PROBE_PRESENT };
	SCOPED(locator) struct locator first = { 0 }, second = { 0 };
	struct probe got;

	at(&first, "smb://dp0/x");
	at(&second, "smb://dp1/x");
	for (int i = 0; i <= PRESENCE_SERVERS_MAX; i++) {
		SCOPED_TEXT char *url = alloc_printf("smb://dp%d/x", i);
		SCOPED(locator) struct locator dp = { 0 };

		at(&dp, url);
		presence_learned(p, &dp, &there, BEGIN_MS + (uint64_t)i);
	}
	assert_false(presence_last(&got, p, &first));
	assert_true(presence_last(&got, p, &second));
}

TESTING_MAIN(cmocka_unit_test(what_is_present_is_known_for_half_a_minute),
	     cmocka_unit_test(probes_are_rationed), cmocka_unit_test(the_oldest_makes_room), )
