#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "agent/schedule.h"

#define NOW     1763822617 /* 2025-11-22T14:43:37Z, TZ=UTC */
#define HOUR    3600
#define NONE    SCHEDULE_NEVER
#define BUSY_ID "LON2000F"

/* One run of LON20001, serial 1, and perhaps runs of others. */
struct past {
	enum journal_phase phase;
	enum journal_outcome outcome;
	uint32_t attempt;
	int64_t ended_s;
};

#define NOT_RUN   \
	{         \
		0 \
	}

static void fill_journal(struct journal_list *list, const struct past *past, bool base_succeeded,
			 bool other_runs)
{
	static struct journal_run runs[3];

	list->runs = runs;
	list->count = 0;
	if (past->attempt > 0)
		runs[list->count++] = (struct journal_run){
			.advertisement = "LON20001",
			.serial = 1,
			.attempt = past->attempt,
			.package = "LON00001",
			.program = "install",
			.phase = past->phase,
			.outcome = past->outcome,
			.ended_s = past->ended_s,
		};
	if (base_succeeded)
		runs[list->count++] = (struct journal_run){
			.advertisement = "LON20002",
			.serial = 1,
			.attempt = 1,
			.package = "LON00002",
			.program = "base",
			.phase = JOURNAL_ENDED,
			.outcome = JOURNAL_SUCCEEDED_RESTART,
		};
	if (other_runs)
		runs[list->count++] = (struct journal_run){ .advertisement = BUSY_ID,
							    .attempt = 1,
							    .phase = JOURNAL_RUNNING };
}

#define RUNNING                                     \
	{                                           \
		JOURNAL_RUNNING, JOURNAL_NONE, 1, 0 \
	}
#define ENDED(how)                                               \
	{                                                        \
		JOURNAL_ENDED, JOURNAL_##how, 1, NOW - 10 * HOUR \
	}
#define MANDATORY .available_s = NONE, .mandatory_s = NOW - HOUR, .expires_s = NONE
#define ID        .advertisement = "LON20001", .serial = 1, .package = "LON00001", .program = "install"

static void each_assignment_has_one_state(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct schedule_assignment a;
		struct past past;
		enum {
			BY_HAND = 1,
			FULL = 2,
			EXPIRED = 4,
			NO_CONTENT = 8,
			BASE = 16,
			OTHER = 32
		} facts;
		enum schedule_state want;
		enum schedule_reason reason;
		int64_t until_s;
	} cases[] = {
		{ "mandatory and its time has come", { ID, MANDATORY }, NOT_RUN, 0, SCHEDULE_DUE },
		{ "optional is offered",
		  { ID, .available_s = NONE, .mandatory_s = NONE, .expires_s = NONE },
		  NOT_RUN,
		  0,
		  SCHEDULE_OFFERED },
		{ "optional is due when asked for",
		  { ID, .available_s = NONE, .mandatory_s = NONE, .expires_s = NONE },
		  NOT_RUN,
		  BY_HAND,
		  SCHEDULE_DUE },
		{ "not yet available",
		  { ID, .available_s = NOW + HOUR, .mandatory_s = NOW, .expires_s = NONE },
		  NOT_RUN,
		  0,
		  SCHEDULE_NOT_YET_AVAILABLE,
		  0,
		  NOW + HOUR },
		{ "not yet available, not even by hand",
		  { ID, .available_s = NOW + HOUR, .mandatory_s = NONE, .expires_s = NONE },
		  NOT_RUN,
		  BY_HAND,
		  SCHEDULE_NOT_YET_AVAILABLE,
		  0,
		  NOW + HOUR },
		{ "available to the second",
		  { ID, .available_s = NOW, .mandatory_s = NOW, .expires_s = NONE },
		  NOT_RUN,
		  0,
		  SCHEDULE_DUE },
		{ "waits for its mandatory time",
		  { ID, .available_s = NONE, .mandatory_s = NOW + HOUR, .expires_s = NONE },
		  NOT_RUN,
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_MANDATORY_TIME,
		  NOW + HOUR },
		{ "ahead of its mandatory time by hand",
		  { ID, .available_s = NONE, .mandatory_s = NOW + HOUR, .expires_s = NONE },
		  NOT_RUN,
		  BY_HAND,
		  SCHEDULE_DUE },
		{ "expired",
		  { ID, .available_s = NONE, .mandatory_s = NOW - 9, .expires_s = NOW },
		  NOT_RUN,
		  0,
		  SCHEDULE_EXPIRED },
		{ "expired after it succeeded",
		  { ID, .available_s = NONE, .mandatory_s = NOW - 9, .expires_s = NOW },
		  ENDED(SUCCEEDED),
		  0,
		  SCHEDULE_SUCCEEDED },
		{ "expired while it ran",
		  { ID, .available_s = NONE, .mandatory_s = NOW - 9, .expires_s = NOW },
		  RUNNING,
		  0,
		  SCHEDULE_RUNNING },
		{ "expired before the retry",
		  { ID, .available_s = NONE, .mandatory_s = NOW - 9, .expires_s = NOW,
		    .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  ENDED(FAILED),
		  0,
		  SCHEDULE_FAILED },
		{ "stopped", { ID, MANDATORY, .stopped = true }, NOT_RUN, 0, SCHEDULE_STOPPED },
		{ "stopped while it ran",
		  { ID, MANDATORY, .stopped = true },
		  RUNNING,
		  0,
		  SCHEDULE_RUNNING },
		{ "rejected",
		  { ID, MANDATORY, .rejected = "not root" },
		  NOT_RUN,
		  0,
		  SCHEDULE_REJECTED },
		{ "rejected even by hand",
		  { ID, MANDATORY, .rejected = "not root" },
		  NOT_RUN,
		  BY_HAND,
		  SCHEDULE_REJECTED },
		{ "window is open",
		  { ID, MANDATORY, .has_window = true, .window = { 14 * 60, 15 * 60 } },
		  NOT_RUN,
		  0,
		  SCHEDULE_DUE },
		{ "window opens at 22:00",
		  { ID, MANDATORY, .has_window = true, .window = { 22 * 60, 6 * 60 } },
		  NOT_RUN,
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_WINDOW,
		  1763848800 },
		{ "a window does not bind who asks",
		  { ID, MANDATORY, .has_window = true, .window = { 22 * 60, 6 * 60 } },
		  NOT_RUN,
		  BY_HAND,
		  SCHEDULE_DUE },
		{ "follows a program that has not run",
		  { ID, MANDATORY, .after_package = "LON00002", .after_program = "base" },
		  NOT_RUN,
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_RUN_AFTER,
		  NONE },
		{ "follows one that awaits a restart: KB Q216744",
		  { ID, MANDATORY, .after_package = "LON00002", .after_program = "base" },
		  NOT_RUN,
		  BASE,
		  SCHEDULE_DUE },
		{ "follows another program of that package",
		  { ID, MANDATORY, .after_package = "LON00002", .after_program = "other" },
		  NOT_RUN,
		  BASE,
		  SCHEDULE_WAITING,
		  SCHEDULE_RUN_AFTER,
		  NONE },
		{ "content is missing",
		  { ID, MANDATORY },
		  NOT_RUN,
		  NO_CONTENT,
		  SCHEDULE_WAITING,
		  SCHEDULE_CONTENT,
		  NOW + 84 * 60 },
		{ "outbox is full",
		  { ID, MANDATORY },
		  NOT_RUN,
		  FULL,
		  SCHEDULE_WAITING,
		  SCHEDULE_OUTBOX_FULL,
		  NONE },
		{ "outbox is full: what runs goes on",
		  { ID, MANDATORY },
		  RUNNING,
		  FULL,
		  SCHEDULE_RUNNING },
		{ "policy expired: nothing new",
		  { ID, MANDATORY },
		  NOT_RUN,
		  EXPIRED,
		  SCHEDULE_WAITING,
		  SCHEDULE_POLICY_EXPIRED,
		  NONE },
		{ "policy expired: what runs goes on",
		  { ID, MANDATORY },
		  RUNNING,
		  EXPIRED,
		  SCHEDULE_RUNNING },
		{ "another program runs",
		  { ID, MANDATORY },
		  NOT_RUN,
		  OTHER,
		  SCHEDULE_WAITING,
		  SCHEDULE_BUSY,
		  NONE },
		{ "once: succeeded", { ID, MANDATORY }, ENDED(SUCCEEDED), 0, SCHEDULE_SUCCEEDED },
		{ "once: failed", { ID, MANDATORY }, ENDED(FAILED), 0, SCHEDULE_FAILED },
		{ "once: timed out", { ID, MANDATORY }, ENDED(TIMED_OUT), 0, SCHEDULE_FAILED },
		{ "once: interrupted is not run again",
		  { ID, MANDATORY },
		  ENDED(INTERRUPTED),
		  0,
		  SCHEDULE_INTERRUPTED },
		{ "once: interrupted, nor by hand",
		  { ID, MANDATORY },
		  ENDED(INTERRUPTED),
		  BY_HAND,
		  SCHEDULE_INTERRUPTED },
		{ "once: a start that failed stays",
		  { ID, MANDATORY },
		  ENDED(NOT_STARTED),
		  0,
		  SCHEDULE_FAILED },
		{ "once: a start that failed, by hand",
		  { ID, MANDATORY },
		  ENDED(NOT_STARTED),
		  BY_HAND,
		  SCHEDULE_DUE },
		{ "on failure: succeeded",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  ENDED(SUCCEEDED),
		  0,
		  SCHEDULE_SUCCEEDED },
		{ "on failure: failed long ago",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  ENDED(FAILED),
		  0,
		  SCHEDULE_DUE },
		{ "on failure: interrupted long ago",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  ENDED(INTERRUPTED),
		  0,
		  SCHEDULE_DUE },
		{ "on failure: failed a minute ago",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  { JOURNAL_ENDED, JOURNAL_FAILED, 1, NOW - 60 },
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_RETRY,
		  NOW - 60 + SCHEDULE_RETRY_FIRST_S },
		{ "on failure: the pause grows",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  { JOURNAL_ENDED, JOURNAL_FAILED, 3, NOW - 60 },
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_RETRY,
		  NOW - 60 + 4 * SCHEDULE_RETRY_FIRST_S },
		{ "on failure: the pause stops growing",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  { JOURNAL_ENDED, JOURNAL_FAILED, 999999, NOW - 60 },
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_RETRY,
		  NOW - 60 + SCHEDULE_RETRY_MAX_S },
		{ "on failure: the clock was ten years ahead",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  { JOURNAL_ENDED, JOURNAL_FAILED, 1, NOW + 87600 * HOUR },
		  0,
		  SCHEDULE_WAITING,
		  SCHEDULE_RETRY,
		  NOW + SCHEDULE_RETRY_FIRST_S },
		{ "on failure: no pause by hand",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ON_FAILURE },
		  { JOURNAL_ENDED, JOURNAL_FAILED, 1, NOW - 60 },
		  BY_HAND,
		  SCHEDULE_DUE },
		{ "always: a success is not repeated by itself",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ALWAYS },
		  ENDED(SUCCEEDED),
		  0,
		  SCHEDULE_SUCCEEDED },
		{ "always: a success is repeated by hand",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ALWAYS },
		  ENDED(SUCCEEDED),
		  BY_HAND,
		  SCHEDULE_DUE },
		{ "always: not while it runs",
		  { ID, MANDATORY, .rerun = SCHEDULE_RERUN_ALWAYS },
		  RUNNING,
		  BY_HAND,
		  SCHEDULE_RUNNING },
		{ "a new serial is due again",
		  { .advertisement = "LON20001",
		    .serial = 2,
		    .package = "LON00001",
		    .program = "install",
		    MANDATORY },
		  ENDED(SUCCEEDED),
		  0,
		  SCHEDULE_DUE },
		{ "an unstarted intent is no run",
		  { ID, MANDATORY },
		  { JOURNAL_UNSTARTED, JOURNAL_NONE, 1, 0 },
		  0,
		  SCHEDULE_DUE },
		{ "a clock back in 1970 starts nothing early",
		  { ID, .available_s = NOW + 9 * HOUR, .mandatory_s = NOW + 9 * HOUR,
		    .expires_s = NONE },
		  NOT_RUN,
		  0,
		  SCHEDULE_NOT_YET_AVAILABLE,
		  0,
		  NOW + 9 * HOUR },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		unsigned int facts = cases[i].facts;
		const struct schedule_content content = {
			.ready = (facts & NO_CONTENT) == 0,
			.reason = "waits for nas12",
			.until_s = NOW + 84 * 60,
		};
		struct journal_list journal;
		struct schedule_facts f = {
			.now_s = NOW,
			.journal = &journal,
			.outbox_full = (facts & FULL) != 0,
			.policy_expired = (facts & EXPIRED) != 0,
			.by_hand = (facts & BY_HAND) != 0,
		};
		struct schedule_verdict got;
		int64_t want_until_s = cases[i].until_s != 0 ? cases[i].until_s : NONE;

		fill_journal(&journal, &cases[i].past, (facts & BASE) != 0, (facts & OTHER) != 0);
		schedule_evaluate(&got, &cases[i].a, &content, &f);
		if (got.state != cases[i].want || got.reason != cases[i].reason ||
		    got.until_s != want_until_s)
			fail_msg("%s: %s %s until %lld", cases[i].why,
				 schedule_state_name(got.state), schedule_reason_name(got.reason),
				 (long long)got.until_s);
	}
}

/* Content is fetched ahead of the time, but not for what must not start. */
static void content_is_wanted_ahead(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct schedule_assignment a;
		bool policy_expired, want;
	} cases[] = {
		{ "due", { ID, MANDATORY }, false, true },
		{ "due later",
		  { ID, .available_s = NONE, .mandatory_s = NOW + HOUR, .expires_s = NONE },
		  false,
		  true },
		{ "window closed",
		  { ID, MANDATORY, .has_window = true, .window = { 0, 60 } },
		  false,
		  true },
		{ "optional",
		  { ID, .available_s = NONE, .mandatory_s = NONE, .expires_s = NONE },
		  false,
		  false },
		{ "not available yet",
		  { ID, .available_s = NOW + 9, .mandatory_s = NOW + 9, .expires_s = NONE },
		  false,
		  false },
		{ "stopped", { ID, MANDATORY, .stopped = true }, false, false },
		{ "policy expired", { ID, MANDATORY }, true, false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct schedule_content content = { .until_s = NONE };
		struct journal_list journal = { 0 };
		struct schedule_facts f = {
			.now_s = NOW,
			.journal = &journal,
			.policy_expired = cases[i].policy_expired,
		};
		struct schedule_verdict got;

		schedule_evaluate(&got, &cases[i].a, &content, &f);
		if (got.wants_content != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

static void earlier_mandatory_times_run_first(void **state UNUSED)
{
	static const struct schedule_assignment all[] = {
		{ .advertisement = "LON20005", .mandatory_s = NONE, .available_s = NONE },
		{ .advertisement = "LON20004", .mandatory_s = NOW, .available_s = NOW },
		{ .advertisement = "LON20003", .mandatory_s = NOW, .available_s = NONE },
		{ .advertisement = "LON20002", .mandatory_s = NOW, .available_s = NOW },
		{ .advertisement = "LON20001", .mandatory_s = NOW - 1, .available_s = NOW },
	};
	static const size_t want[] = { 4, 2, 3, 1, 0 };
	size_t order[COUNT_OF(all)];

	schedule_order(order, all, COUNT_OF(all));
	assert_memory_equal(order, want, sizeof(want));
}

static void the_next_moment_is_the_earliest(void **state UNUSED)
{
	static const struct schedule_verdict all[] = { { .until_s = NONE },
						       { .until_s = NOW + 9 },
						       { .until_s = NOW + 5 } };

	assert_true(schedule_next(all, 3) == NOW + 5);
	assert_true(schedule_next(all, 1) == NONE);
}

static void rerun_rules_have_names(void **state UNUSED)
{
	enum schedule_rerun rule;

	assert_true(schedule_parse_rerun(&rule, "on-failure"));
	assert_int_equal(rule, SCHEDULE_RERUN_ON_FAILURE);
	assert_false(schedule_parse_rerun(&rule, "sometimes"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(each_assignment_has_one_state),
		cmocka_unit_test(content_is_wanted_ahead),
		cmocka_unit_test(earlier_mandatory_times_run_first),
		cmocka_unit_test(the_next_moment_is_the_earliest),
		cmocka_unit_test(rerun_rules_have_names),
	};

	setenv("TZ", "UTC", 1);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("test_schedule", cases, NULL, NULL);
}
