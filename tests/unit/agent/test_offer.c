#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/offer.h"
#include "common/alloc.h"
#include "common/path.h"

#define NOW   1800000000
#define GUEST 65534

struct place {
	char dir[64];
	struct state st;
	struct assigned plan;
};

/* The same program twice, the first not to be had any more; and one for nobody but the owner. */
static json_t *new_plan(void)
{
	return json_pack("{s:[{s:s,s:i,s:s,s:i,s:s,s:s,s:s},{s:s,s:i,s:s,s:i,s:s,s:s},"
			 "{s:s,s:i,s:s,s:i,s:s,s:s,s:s}]}",
			 "assignments", "advertisement", "LON20001", "serial", 1, "package",
			 "LON00001", "version", 1, "program", "install", "command", "true",
			 "expires", "2020-01-01T00:00:00Z", "advertisement", "LON20002", "serial",
			 1, "package", "LON00001", "version", 1, "program", "install", "command",
			 "true", "advertisement", "LON20003", "serial", 1, "package", "LON00001",
			 "version", 1, "program", "stopped", "command", "true", "state", "stopped");
}

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	json_auto_t *plan = new_plan();
	struct err err;

	snprintf(p->dir, sizeof(p->dir), "/tmp/test_offer-XXXXXX");
	if (mkdtemp(p->dir) == NULL || !state_open(&p->st, p->dir, STATE_CREATE, &err) ||
	    !state_write_json(&p->st, "plan.json", plan, &err) ||
	    !assigned_load(&p->plan, &p->st, &err))
		return 1;
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	struct err err;
	bool done;

	assigned_release(&p->plan);
	state_close(&p->st);
	done = path_remove_tree(p->dir, &err);
	free(p);
	return done ? 0 : 1;
}

static bool find(size_t *index_out, struct schedule_verdict *v, struct place *p,
		 const char *program, struct journal_list *runs, uid_t caller, struct err *err)
{
	json_auto_t *request = json_pack("{s:s,s:s}", "package", "LON00001", "program", program);
	const struct schedule_facts facts = { .now_s = NOW, .journal = runs };

	return offer_find(index_out, v, &p->plan, &facts, caller, request, err);
}

static void of_several_the_one_that_may_run_is_meant(void **state)
{
	struct journal_list none = { 0 };
	struct schedule_verdict v;
	struct err err;
	size_t index;

	assert_done(find(&index, &v, *state, "install", &none, geteuid(), &err), &err);
	assert_int_equal(index, 1);
	assert_int_equal(v.state, SCHEDULE_DUE);
}

static void a_program_waits_for_another_that_runs(void **state)
{
	struct journal_run other = {
		.advertisement = "LON29999", .serial = 1, .attempt = 1, .phase = JOURNAL_RUNNING
	};
	struct journal_list runs = { .runs = &other, .count = 1 };
	struct schedule_verdict v;
	struct err err;
	size_t index;

	assert_done(find(&index, &v, *state, "install", &runs, geteuid(), &err), &err);
	assert_int_equal(v.reason, SCHEDULE_BUSY);
}

static void one_that_runs_or_has_run_is_refused(void **state)
{
	struct journal_run run = {
		.advertisement = "LON20002", .serial = 1, .attempt = 1, .phase = JOURNAL_RUNNING
	};
	struct journal_list runs = { .runs = &run, .count = 1 };
	struct place *p = *state;
	struct schedule_verdict v;
	struct err err;
	size_t index;

	assert_false(find(&index, &v, p, "install", &runs, geteuid(), &err));
	assert_int_equal(err.code, ERR_REFUSED);
	run.phase = JOURNAL_ENDED;
	run.outcome = JOURNAL_SUCCEEDED;
	assert_false(find(&index, &v, p, "install", &runs, geteuid(), &err));
	assert_int_equal(err.code, ERR_REFUSED);
}

static void what_is_stopped_unknown_or_anothers_is_refused(void **state)
{
	static const struct {
		const char *program;
		uid_t caller;
		enum err_code code;
	} cases[] = {
		{ "stopped", 0, ERR_REFUSED },
		{ "nothing", 0, ERR_NOT_FOUND },
		{ "install", GUEST, ERR_NOT_FOUND },
	};
	struct journal_list none = { 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct schedule_verdict v;
		struct err err;
		size_t index;

		assert_false(
			find(&index, &v, *state, cases[i].program, &none, cases[i].caller, &err));
		assert_int_equal(err.code, cases[i].code);
	}
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(of_several_the_one_that_may_run_is_meant),
	     CASE(a_program_waits_for_another_that_runs), CASE(one_that_runs_or_has_run_is_refused),
	     CASE(what_is_stopped_unknown_or_anothers_is_refused), )
