#include "support/testing.h"

#include "agent/quiet.h"
#include "agent/schedule.h"
#include "common/newfile.h"
#include "support/tempdir.h"

#define MADE_S 1000

static void a_note_holds_for_its_inputs_and_until_its_times(void **state UNUSED)
{
	static const struct {
		const char *why;
		struct quiet kept;
		const char *inputs; /* kept for */
		const char *asked;
		int64_t now_s;
		bool holds;
	} cases[] = {
		{ "the same inputs", { 2000, 3000, 4, 5 }, "7 a", "7 a", 1999, true },
		{ "other inputs", { 2000, 3000, 4, 5 }, "7 a", "8 a", 1999, false },
		{ "kept for none", { 2000, 3000, 4, 5 }, NULL, "7 a", 1999, false },
		{ "its time has come", { 2000, 3000, 4, 5 }, "7 a", "7 a", 2000, false },
		{ "policy has expired", { 2000, 1500, 4, 5 }, "7 a", "7 a", 1500, false },
		{ "the clock was put back", { 2000, 3000, 4, 5 }, "7 a", "7 a", 999, false },
		{ "no time ever",
		  { SCHEDULE_NEVER, INT64_MAX, 0, 1 },
		  "7 a",
		  "7 a",
		  9999999,
		  true },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct state st = { .dir = tempdir_make("quiet") };
		struct quiet got;
		bool holds;

		quiet_keep(&st, &cases[i].kept, cases[i].inputs, MADE_S);
		holds = quiet_holds(&got, &st, cases[i].asked, cases[i].now_s);
		if (holds != cases[i].holds || (holds && (got.waiting != cases[i].kept.waiting ||
							  got.failed != cases[i].kept.failed)))
			fail_msg("%s", cases[i].why);
		quiet_forget(&st);
		assert_false(quiet_holds(&got, &st, cases[i].asked, cases[i].now_s));
		tempdir_remove(st.dir);
	}
}

static void what_is_no_note_holds_for_nothing(void **state UNUSED)
{
	static const char *const texts[] = { "", "{}", "[]", "{\"inputs\":\"x\"}",
					     "{\"inputs\":3}" };
	const struct state st = { .dir = tempdir_make("quiet-damage") };
	SCOPED_TEXT char *path = state_path(&st, "quiet.json");

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct quiet got;
		struct err err = { 0 };

		assert_done(newfile_write(path, 0600, span_of_text(texts[i]), &err), &err);
		assert_false(quiet_holds(&got, &st, "x", MADE_S));
	}
	tempdir_remove(st.dir);
}

TESTING_MAIN(cmocka_unit_test(a_note_holds_for_its_inputs_and_until_its_times),
	     cmocka_unit_test(what_is_no_note_holds_for_nothing), )
