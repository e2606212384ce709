#include "support/testing.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "nal/because.h"
#include "nal/decision.h"
#include "support/choice.h"

static struct decision *decide(struct choice *c)
{
	SCOPED(select_result) struct select_result result;
	const struct decision_about about = {
		.package = c->input.kind == KIND_DP ? "LON00001" : NULL,
		.version = 3,
		.kind = c->input.kind,
		.context = "system",
		.seed = c->input.seed,
		.time_s = CHOICE_NOW_S,
	};

	select_run(&result, &c->input);
	return decision_new(&result, &about);
}

static char *compact(const struct decision *d)
{
	json_auto_t *doc = decision_json(d);
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, doc);
	return buf_take(&text);
}

/* The whole record, so that a change of the contract's shape is seen. */
static void the_json_is_that_of_the_contract(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"server dp2 at smb://dp2/packway session rate 91200000\nserver dp3 mount /mnt/dp3\n"
		"server dp4 quarantined 60\nserver dp5 server-mount sticky\n");
	SCOPED(decision) struct decision *d = decide(c);
	SCOPED_TEXT char *got = NULL;

	decision_attempted(d, "dp2", WAYKIND_SESSION, NAL_CLASS_OK, 3);
	decision_presence(d, "ipc", 4);
	decision_arrived(d, &(struct arrival){ .cost = { ARRIVAL_PATCH, 21400, 2 },
					       .instead = { ARRIVAL_RANGES, 1200000, 5 } });
	decision_settle(d, "dp2");
	got = compact(d);
	assert_string_equal(
		got,
		"{\"attempts\":[{\"class\":\"ok\",\"ms\":3,\"server\":\"dp2\",\"way\":\"session\"}],"
		"\"because\":\"dp2 was read: it is a default server of the site and a connection to it "
		"is open; next would have been dp3; 21.4 kB came as a patch in 2 requests, where ranges "
		"were 1.2 MB in 5.\",\"bytes_network\":21400,"
		"\"candidates\":["
		"{\"address\":\"smb://dp2/packway\",\"rank\":1,\"server\":\"dp2\","
		"\"terms\":{\"goodput_bps\":91200000,\"session\":1},\"tier\":1,\"way\":\"session\"},"
		"{\"address\":\"http://dp3/packway\",\"at\":\"/mnt/dp3\",\"rank\":2,\"server\":\"dp3\","
		"\"terms\":{\"mount\":1},\"tier\":1,\"way\":\"mount\"},"
		"{\"address\":\"http://dp5/packway\",\"rank\":3,\"server\":\"dp5\","
		"\"terms\":{\"mount_evidence\":\"same-server\",\"sticky\":1},\"tier\":1,\"way\":\"new\"},"
		"{\"address\":\"http://dp4/packway\",\"excluded\":\"quarantined\",\"server\":\"dp4\","
		"\"until\":\"2026-11-18T11:07:40Z\"}],"
		"\"chosen\":{\"address\":\"smb://dp2/packway\",\"server\":\"dp2\",\"way\":\"session\"},"
		"\"context\":\"system\",\"how\":\"patch\","
		"\"instead\":{\"bytes_network\":1200000,\"how\":\"ranges\",\"requests\":5},\"kind\":\"dp\",\"listed\":4,\"package\":\"LON00001\","
		"\"policy\":\"existing\",\"presence\":{\"ms\":4,\"rung\":\"ipc\"},\"requests\":2,\"seed\":1,"
		"\"time\":\"2026-11-18T11:06:40Z\",\"valid\":3,\"version\":3}");
}

static void records_read_back_the_same(void **state UNUSED)
{
	static const char *const worlds[] = {
		"server dp1 mount /mnt/dp1 rate 1000\nserver dp2 rate 90000 sticky\nserver dp3 denied",
		"kind cap\nobject cap\nserver cap1 session\nserver cap2 backoff 9\nby-hand",
		"group g 10.0.0.0/8 neighbour h:60\ngroup h 11.0.0.0/8\nclient 10.0.0.1\nserver a group h",
		"policy preferred-only\nserver dp1",
		"seed 1",
	};

	for (size_t i = 0; i < COUNT_OF(worlds); i++) {
		SCOPED(choice) struct choice *c = choice_of(worlds[i]);
		SCOPED(decision) struct decision *d = decide(c), *again = NULL;
		SCOPED_TEXT char *first = compact(d), *second = NULL;
		json_auto_t *doc = NULL;
		struct err err;

		assert_done(jsondoc_read(&doc, span_of_text(first), &err), &err);
		assert_done(decision_parse(&again, doc, &err), &err);
		second = compact(again);
		assert_string_equal(first, second);
	}
}

static void there_is_one_sentence_for_each_outcome(void **state UNUSED)
{
	static const struct {
		const char *why, *world, *tried, *served, *want;
	} cases[] = {
		{ "drawn", "server a sticky\nserver b", NULL, NULL,
		  "a is chosen: it is a default server of the site and it served last time; next would "
		  "be b." },
		{ "measured", "policy nearest\nserver a rate 91200000\nserver b rate 1000", NULL,
		  NULL,
		  "a is chosen: it is a default server of the site and it was measured at 91.2 MB/s; "
		  "next would be b." },
		{ "the second served", "server a session\nserver b mount /mnt/b", "a", "b",
		  "a failed (timeout); b was read: it is a default server of the site and its share is "
		  "mounted at /mnt/b." },
		{ "nobody served", "server a\n", "a", NULL,
		  "a failed (timeout); no other is left." },
		{ "neighbours",
		  "group g 10.0.0.0/8 neighbour h:0\ngroup h 11.0.0.0/8\nclient 10.0.0.1\n"
		  "server a group h",
		  NULL, NULL,
		  "a is chosen: it is in a neighbouring group whose time has come; it is the only one." },
		{ "no CAP", "kind cap", NULL, NULL, "no CAP is listed for it yet." },
		{ "a retry", "server a backoff 40", NULL, NULL,
		  "none of the 1 listed can be used now (1 backing-off); the next try is in 40 s." },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(choice) struct choice *c = choice_of(cases[i].world);
		SCOPED(decision) struct decision *d = decide(c);

		if (cases[i].tried != NULL) {
			decision_attempted(d, cases[i].tried, WAYKIND_NEW, NAL_CLASS_TIMEOUT, 1000);
			if (cases[i].served != NULL)
				decision_attempted(d, cases[i].served, WAYKIND_MOUNT, NAL_CLASS_OK,
						   2);
			decision_settle(d, cases[i].served);
		}
		if (strcmp(d->because, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, d->because);
	}
}

static void what_was_here_is_said_to_need_nobody(void **state UNUSED)
{
	SCOPED(choice) struct choice *c = choice_of("server a sticky\nserver b");
	SCOPED(decision) struct decision *d = decide(c);

	decision_arrived(d, &(struct arrival){ .cost.how = ARRIVAL_NONE });
	decision_settle(d, NULL);
	assert_string_equal(d->because, "nothing was read: every byte of it was here; a would "
					"have been asked.");
}

static void draws_name_their_number(void **state UNUSED)
{
	SCOPED(choice) struct choice *c = choice_of("server a\nserver b\nserver c");
	SCOPED(decision) struct decision *d = decide(c);

	assert_non_null(strstr(d->because, "drawn from 3 that are equal"));
}

/* Change each byte of a valid record: refused or taken, never a crash, and taken ones read back. */
static void damaged_records_do_no_harm(void **state UNUSED)
{
	SCOPED(choice)
	struct choice *c = choice_of(
		"server dp2 session\nserver dp3 mount /mnt/dp3\nserver dp4 quarantined 60");
	SCOPED(decision) struct decision *d = decide(c);
	SCOPED_TEXT char *text = NULL;

	decision_attempted(d, "dp2", WAYKIND_SESSION, NAL_CLASS_OK, 3);
	text = compact(d);
	for (size_t i = 0; text[i] != '\0'; i++) {
		char old = text[i];
		json_auto_t *doc = NULL;
		SCOPED(decision) struct decision *again = NULL;
		struct err err;

		text[i] = (char)(old ^ 1);
		if (jsondoc_read(&doc, span_of_text(text), &err) &&
		    decision_parse(&again, doc, &err)) {
			SCOPED_TEXT char *printed = compact(again);

			assert_non_null(printed);
		}
		text[i] = old;
	}
}

/* What travels with a status message is bounded, and still says who was chosen and why. */
static void a_long_record_travels_without_its_last_candidates(void **state UNUSED)
{
	SCOPED(choice) struct choice *c = choice_new();
	SCOPED(decision) struct decision *d = NULL;
	SCOPED(decision) struct decision *read = NULL;
	json_auto_t *doc = NULL;
	json_auto_t *whole = NULL;
	json_auto_t *excerpt = NULL;
	SCOPED(buf) struct buf text = { 0 };
	struct err err = { 0 };
	char line[64];

	for (int i = 0; i < CHOICE_SERVERS; i++) {
		snprintf(line, sizeof(line), "server dp%d", i);
		assert_done(choice_line(c, line, &err), &err);
	}
	d = decide(c);
	decision_attempted(d, d->candidates[0].server, WAYKIND_NEW, NAL_CLASS_TIMEOUT, 1000);
	decision_attempted(d, d->candidates[60].server, WAYKIND_NEW, NAL_CLASS_OK, 3);
	decision_settle(d, d->candidates[60].server);
	doc = decision_json(d);
	whole = decision_excerpt(doc, DECISION_ATTACHED_MAX);
	assert_ptr_equal(whole, doc);
	excerpt = decision_excerpt(doc, 2000);
	jsondoc_write(&text, excerpt);
	assert_in_range(text.size, 1000, 2000);
	assert_done(decision_parse(&read, excerpt, &err), &err);
	assert_string_equal(read->candidates[read->chosen].server, d->candidates[60].server);
	assert_string_equal(read->because, d->because);
	assert_int_equal(read->listed, CHOICE_SERVERS);
	assert_int_equal(jsondoc_int(json_object_get(excerpt, "left_out"), "candidates", 0),
			 CHOICE_SERVERS - (int)read->candidate_count);
}

TESTING_MAIN(cmocka_unit_test(the_json_is_that_of_the_contract),
	     cmocka_unit_test(records_read_back_the_same),
	     cmocka_unit_test(there_is_one_sentence_for_each_outcome),
	     cmocka_unit_test(what_was_here_is_said_to_need_nobody),
	     cmocka_unit_test(draws_name_their_number),
	     cmocka_unit_test(damaged_records_do_no_harm),
	     cmocka_unit_test(a_long_record_travels_without_its_last_candidates), )
