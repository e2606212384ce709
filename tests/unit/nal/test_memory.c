#include "support/testing.h"

#include <stdio.h>
#include <string.h>

#include "nal/memory.h"

#define NOW_S ((int64_t)1795000000)

static void tick(struct memory *m, int64_t wall_s, uint64_t mono_s)
{
	const struct memory_now now = { wall_s, mono_s, "boot-1" };

	memory_tick(m, &now);
}

static struct memory *fresh(void)
{
	struct memory *m = memory_new();

	tick(m, NOW_S, 1000);
	return m;
}

static void record(struct memory *m, enum nal_class what)
{
	const struct memory_event event = { .server = "dp1",
					    .object = "LON00001:3",
					    .kind = KIND_DP,
					    .what = what,
					    .config = "c1",
					    .seed = 7 };

	memory_record(m, &event);
}

static struct memory_facts facts(const struct memory *m)
{
	return memory_facts(m, "dp1", "LON00001:3", KIND_DP, "net", "c1");
}

static void each_class_has_its_consequence(void **state UNUSED)
{
	static const struct {
		enum nal_class what;
		bool backs_off, misses, quarantines, denies, sticks;
	} cases[] = {
		{ NAL_CLASS_OK, .sticks = true },
		{ NAL_CLASS_NOT_FOUND, .misses = true },
		{ NAL_CLASS_CONTENT_MISSING, .misses = true },
		{ NAL_CLASS_WRONG_VERSION, .misses = true },
		{ NAL_CLASS_DENIED, .denies = true },
		{ NAL_CLASS_CONFLICT, .backs_off = true },
		{ NAL_CLASS_BUSY, .backs_off = true }, /* Q268500 */
		{ NAL_CLASS_FULL, .backs_off = true },
		{ NAL_CLASS_TIMEOUT, .backs_off = true },
		{ NAL_CLASS_UNREACHABLE, .backs_off = true },
		{ NAL_CLASS_SLOW, .backs_off = true },
		{ NAL_CLASS_CORRUPT, .quarantines = true },
		{ NAL_CLASS_PROTOCOL, .backs_off = true },
		{ NAL_CLASS_UNKNOWN },
	};

	assert_int_equal(COUNT_OF(cases), NAL_CLASS_COUNT_);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(memory) struct memory *m = fresh();
		struct memory_facts f;

		record(m, cases[i].what);
		f = facts(m);
		if ((f.back_off_until_s != 0) != cases[i].backs_off ||
		    (f.missing_until_s != 0) != cases[i].misses ||
		    (f.quarantined_until_s != 0) != cases[i].quarantines ||
		    f.is_denied != cases[i].denies || f.is_sticky != cases[i].sticks)
			fail_msg("%s", nal_class_name(cases[i].what));
	}
}

/* Q302535: no tight loop; Q302674: independent of polls. */
static void back_off_doubles_up_to_its_cap(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh();
	int64_t cap = MEMORY_BACK_OFF_CAP_S, want = MEMORY_BACK_OFF_FIRST_S;

	for (int i = 0; i < 40; i++) {
		int64_t delay;

		record(m, NAL_CLASS_UNREACHABLE);
		delay = facts(m).back_off_until_s - NOW_S;
		assert_in_range(delay, want - want / 4, want);
		want = MIN_OF(want * 2, cap);
	}
	record(m, NAL_CLASS_OK);
	assert_int_equal(facts(m).back_off_until_s, 0);
	record(m, NAL_CLASS_UNREACHABLE);
	assert_in_range(facts(m).back_off_until_s - NOW_S, 3, MEMORY_BACK_OFF_FIRST_S);
}

static void a_fleet_does_not_move_in_step(void **state UNUSED)
{
	bool seen[MEMORY_BACK_OFF_CAP_S + 1] = { false };
	size_t different = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		SCOPED(memory) struct memory *m = fresh();
		struct memory_event event = {
			.server = "dp1", .object = "x", .what = NAL_CLASS_TIMEOUT, .seed = seed
		};
		int64_t delay;

		for (int i = 0; i < 12; i++)
			memory_record(m, &event);
		delay = facts(m).back_off_until_s - NOW_S;
		different += !seen[delay];
		seen[delay] = true;
	}
	assert_true(different > 30);
}

/* Q227033, Q230242: one try with a wrong secret, until somebody corrects it. */
static void a_denial_lasts_until_configuration_changes(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh();

	record(m, NAL_CLASS_DENIED);
	tick(m, NOW_S + 90 * 86400, 1000 + 90 * 86400);
	assert_true(facts(m).is_denied);
	assert_false(memory_facts(m, "dp1", "LON00001:3", KIND_DP, "net", "c2").is_denied);
}

static void what_others_can_mend_backs_off(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct memory_event event;
	} rows[] = {
		{ "refused without an account",
		  { .kind = KIND_DP, .what = NAL_CLASS_DENIED, .config = "" } },
		{ "a CAP lacks a file", { .kind = KIND_CAP, .what = NAL_CLASS_CONTENT_MISSING } },
		{ "a CAP has no file at all", { .kind = KIND_CAP, .what = NAL_CLASS_NOT_FOUND } },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		SCOPED(memory) struct memory *m = fresh();
		struct memory_event event = rows[i].event;
		struct memory_facts f;

		event.server = "dp1";
		event.object = "cap";
		memory_record(m, &event);
		f = memory_facts(m, "dp1", "cap", event.kind, "net", "");
		if (f.is_denied || f.missing_until_s != 0 || f.back_off_until_s <= NOW_S)
			fail_msg("%s", rows[i].why);
	}
}

static void quarantine_is_of_one_object(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh();

	record(m, NAL_CLASS_CORRUPT);
	assert_int_equal(
		memory_facts(m, "dp1", "LON00002:1", KIND_DP, "net", "c1").quarantined_until_s, 0);
	assert_int_equal(facts(m).quarantined_until_s, NOW_S + MEMORY_QUARANTINE_S);
	tick(m, NOW_S + MEMORY_QUARANTINE_S, 1000 + MEMORY_QUARANTINE_S);
	assert_int_equal(facts(m).quarantined_until_s, 0);
}

/* Q268442: kept, but not for ever, and redrawn after busy. */
static void the_last_success_is_kept_for_its_term(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh();

	record(m, NAL_CLASS_OK);
	tick(m, NOW_S + MEMORY_STICKY_DP_S - 1, 1000 + MEMORY_STICKY_DP_S - 1);
	assert_true(facts(m).is_sticky);
	record(m, NAL_CLASS_OK);
	tick(m, NOW_S + MEMORY_STICKY_DP_S, 1000 + MEMORY_STICKY_DP_S);
	assert_false(facts(m).is_sticky);
	record(m, NAL_CLASS_OK);
	assert_true(facts(m).is_sticky);
	assert_false(memory_facts(m, "dp1", "cap", KIND_CAP, "net", "c1").is_sticky);
	record(m, NAL_CLASS_BUSY);
	assert_false(facts(m).is_sticky);
}

static void clocks_that_jump_change_no_wait(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct memory_now now;
		int64_t waited_s, left_s; /* of the wait, and of the back-off */
	} cases[] = {
		{ "time passes", { NOW_S + 2, 1002, "boot-1" }, 2, 1 },
		{ "set a year ahead", { NOW_S + 31536000, 1002, "boot-1" }, 2, 1 },
		{ "set back to 1970", { 100, 1002, "boot-1" }, 2, 1 },
		{ "set back across a boot", { 100, 5, "boot-2" }, 0, 3 },
		{ "off over night", { NOW_S + 36000, 5, "boot-2" }, 36000, 0 },
		{ "no boot id, a step back", { NOW_S - 5000, 1002, NULL }, 0, 3 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(memory) struct memory *m = fresh();
		struct memory_event event = { .server = "dp1",
					      .object = "LON00001:3",
					      .what = NAL_CLASS_BUSY };
		int64_t left_s, until_s;

		/* A seed is looked for whose jitter leaves 4 s of the 5. */
		for (; facts(m).back_off_until_s != NOW_S + 4 && event.seed < 99; event.seed++) {
			const struct memory_event ok = { .server = "dp1", .object = "LON00001:3" };

			memory_record(m, &ok);
			memory_record(m, &event);
		}
		tick(m, NOW_S + 1, 1001);
		memory_wait_begin(m, "LON00001");
		memory_tick(m, &(struct memory_now){ cases[i].now.wall_s + 1,
						     cases[i].now.mono_s + 1, cases[i].now.boot });
		until_s = facts(m).back_off_until_s;
		left_s = until_s != 0 ? until_s - cases[i].now.wall_s - 1 : 0;
		if (cases[i].now.wall_s + 1 - memory_wait_since(m, "LON00001") !=
			    cases[i].waited_s ||
		    left_s != cases[i].left_s)
			fail_msg("%s: waited %ld, left %ld", cases[i].why,
				 cases[i].now.wall_s + 1 - memory_wait_since(m, "LON00001"),
				 left_s);
	}
}

/* Q224388: an average, not the last reading. */
static void goodput_is_an_average_in_bands(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh();
	uint8_t band;

	memory_transfer(m, "dp1", "net", 1000, 1);
	assert_int_equal(facts(m).goodput_bps, 0); /* too small to measure anything but a ping */
	memory_transfer(m, "dp1", "net", 10000000, 1000);
	assert_int_equal(facts(m).goodput_bps, 10000000);
	memory_transfer(m, "dp1", "net", 2000000, 1000);
	assert_in_range(facts(m).goodput_bps, 7000000, 8000000);
	assert_int_equal(memory_facts(m, "dp1", "x", KIND_DP, "other", "c1").goodput_bps, 0);
	memory_transfer(m, "dp2", "net", 8300000, 1000);
	band = memory_facts(m, "dp2", "x", KIND_DP, "net", "c1").goodput_band;
	memory_transfer(m, "dp2", "net", 7900000, 1000);
	memory_transfer(m, "dp2", "net", 7900000, 1000);
	memory_transfer(m, "dp2", "net", 9000000, 1000);
	assert_int_equal(memory_facts(m, "dp2", "x", KIND_DP, "net", "c1").goodput_band, band);
	for (int i = 0; i < 30; i++)
		memory_transfer(m, "dp2", "net", 1000000, 1000);
	assert_true(memory_facts(m, "dp2", "x", KIND_DP, "net", "c1").goodput_band < band);
}

static void a_stale_average_weighs_less_and_is_forgotten(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh();
	int64_t days3 = 3 * 86400;

	memory_transfer(m, "dp1", "net", 100000000, 1000);
	tick(m, NOW_S + days3, 1000 + (uint64_t)days3);
	memory_transfer(m, "dp1", "net", 1000000, 1000);
	assert_in_range(facts(m).goodput_bps, 1000000, 10000000);
	tick(m, NOW_S + days3 + MEMORY_GOODPUT_LIFE_S,
	     1000 + (uint64_t)days3 + MEMORY_GOODPUT_LIFE_S);
	assert_int_equal(facts(m).goodput_bps, 0);
}

static void everything_survives_storing(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh(), *again = NULL;
	SCOPED(buf) struct buf text = { 0 }, twice = { 0 };
	struct err err;

	record(m, NAL_CLASS_OK);
	record(m, NAL_CLASS_BUSY);
	record(m, NAL_CLASS_CORRUPT);
	record(m, NAL_CLASS_CONTENT_MISSING);
	record(m, NAL_CLASS_DENIED);
	memory_transfer(m, "dp9", "net", 10000000, 1000);
	memory_wait_begin(m, "LON00001");
	assert_true(memory_is_dirty(m));
	memory_write(&text, m);
	assert_false(memory_is_dirty(m));
	assert_done(memory_read(&again, buf_span(&text), &err), &err);
	memory_write(&twice, again);
	assert_string_equal(buf_text(&text), buf_text(&twice));
	tick(again, NOW_S, 1000);
	assert_memory_equal(&(struct memory_facts[]){ facts(m) }[0].back_off_until_s,
			    &(struct memory_facts[]){ facts(again) }[0].back_off_until_s,
			    sizeof(int64_t));
	assert_true(facts(again).is_denied);
	assert_int_equal(facts(again).quarantined_until_s, NOW_S + MEMORY_QUARANTINE_S);
	assert_int_equal(memory_wait_since(again, "LON00001"), NOW_S);
}

static void limits_hold_and_the_oldest_goes_first(void **state UNUSED)
{
	SCOPED(memory) struct memory *m = fresh(), *again = NULL;
	SCOPED(buf) struct buf text = { 0 };
	struct err err;

	for (int i = 0; i < MEMORY_SERVERS_MAX + 50; i++) {
		char name[32];
		struct memory_event event = { .server = name,
					      .object = "x",
					      .what = NAL_CLASS_TIMEOUT };

		snprintf(name, sizeof(name), "s%d", i);
		tick(m, NOW_S + i, 1000 + (uint64_t)i);
		memory_record(m, &event);
	}
	for (int i = 0; i < MEMORY_OBJECTS_MAX + 9; i++) {
		char name[32];
		struct memory_event event = { .server = "dp1",
					      .object = name,
					      .what = NAL_CLASS_CORRUPT };

		snprintf(name, sizeof(name), "o%d", i);
		tick(m, NOW_S + 5000 + i, 6000 + (uint64_t)i);
		memory_record(m, &event);
	}
	assert_int_equal(memory_facts(m, "dp1", "o0", KIND_DP, "n", "c").quarantined_until_s, 0);
	assert_int_not_equal(memory_facts(m, "dp1", "o72", KIND_DP, "n", "c").quarantined_until_s,
			     0);
	memory_write(&text, m);
	assert_done(memory_read(&again, buf_span(&text), &err), &err);
}

static void stored_nonsense_is_refused(void **state UNUSED)
{
#define HEAD "{\"format\":1,\"wall\":1,\"mono\":1,\"boot\":null,\"waits\":{},"
#define STICKY \
	"\"sticky\":{\"dp\":{\"server\":null,\"until\":0},\"cap\":{\"server\":null,\"until\":0}},"
	static const char *const texts[] = {
		"[]",
		"{\"format\":1}",
		HEAD "\"servers\":{}}",
		HEAD STICKY "\"servers\":[]}",
		HEAD STICKY "\"servers\":{\"a\":1}}",
		HEAD STICKY "\"servers\":{\"\":{}}}",
		HEAD STICKY "\"servers\":{\"a\":{\"failures\":-1}}}",
		HEAD STICKY
		"\"servers\":{\"a\":{\"failures\":1,\"class\":\"odd\",\"touched\":1,\"back_off_until\":1}}}",
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct memory *m = NULL;
		struct err err;

		if (memory_read(&m, span_of_text(texts[i]), &err))
			fail_msg("%s is taken", texts[i]);
	}
}

TESTING_MAIN(cmocka_unit_test(each_class_has_its_consequence),
	     cmocka_unit_test(back_off_doubles_up_to_its_cap),
	     cmocka_unit_test(a_fleet_does_not_move_in_step),
	     cmocka_unit_test(a_denial_lasts_until_configuration_changes),
	     cmocka_unit_test(what_others_can_mend_backs_off),
	     cmocka_unit_test(quarantine_is_of_one_object),
	     cmocka_unit_test(the_last_success_is_kept_for_its_term),
	     cmocka_unit_test(clocks_that_jump_change_no_wait),
	     cmocka_unit_test(goodput_is_an_average_in_bands),
	     cmocka_unit_test(a_stale_average_weighs_less_and_is_forgotten),
	     cmocka_unit_test(everything_survives_storing),
	     cmocka_unit_test(limits_hold_and_the_oldest_goes_first),
	     cmocka_unit_test(stored_nonsense_is_refused), )
