#include "support/testing.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keeper.h"
#include "common/path.h"
#include "common/wire.h"

/* What this test's worker answers. */
static const char *answered;

static bool ask(json_t **out, struct job *job UNUSED, const json_t *question UNUSED,
		struct err *err UNUSED)
{
	*out = json_loads(answered, 0, NULL);
	assert_non_null(*out);
	return true;
}

/* A keeper that says one thing and ends; "": nothing at all. */
static void keeper_that_says(struct job_keeper *k, const char *said)
{
	json_auto_t *frame = said[0] != '\0' ? json_loads(said, 0, NULL) : NULL;
	struct err err = { 0 };
	int pair[2];

	assert_done(wire_pair(pair, &err), &err);
	if (frame != NULL)
		assert_done(wire_send_json(pair[1], frame, -1, &err), &err);
	close(pair[1]);
	*k = (struct job_keeper){ .pid = fork(), .socket = pair[0], .givers = -1 };
	if (k->pid == 0)
		_exit(0);
}

/* Of a worker that may be anybody's, only what the keeper says as well is believed. */
static void what_was_built_is_what_was_asked_for(void **state UNUSED)
{
	static const struct {
		const char *why, *question, *answer, *keeper;
		enum err_code code;
	} cases[] = {
		{ "both say so", "{\"op\":\"demand\",\"package\":\"LON00001\",\"version\":2}",
		  "{\"built\":true,\"version\":2}",
		  "{\"done\":{\"package\":\"LON00001\",\"version\":2}}", ERR_NONE },
		{ "the newest, whichever that is", "{\"op\":\"demand\",\"package\":\"LON00001\"}",
		  "{\"built\":true,\"version\":3}",
		  "{\"done\":{\"package\":\"LON00001\",\"version\":3}}", ERR_NONE },
		{ "nothing was built", "{\"op\":\"demand\",\"package\":\"LON00001\",\"version\":2}",
		  "{\"version\":2}", "", ERR_NONE },
		{ "another version", "{\"op\":\"demand\",\"package\":\"LON00001\",\"version\":2}",
		  "{\"built\":true,\"version\":2}",
		  "{\"done\":{\"package\":\"LON00001\",\"version\":1}}", ERR_INTERRUPTED },
		{ "another package", "{\"op\":\"demand\",\"package\":\"LON00001\",\"version\":2}",
		  "{\"built\":true,\"version\":2}",
		  "{\"done\":{\"package\":\"LON00002\",\"version\":2}}", ERR_INTERRUPTED },
		{ "a newest one that it is not", "{\"op\":\"demand\",\"package\":\"LON00001\"}",
		  "{\"built\":true,\"version\":3}",
		  "{\"done\":{\"package\":\"LON00001\",\"version\":2}}", ERR_INTERRUPTED },
		{ "the keeper failed", "{\"op\":\"demand\",\"package\":\"LON00001\",\"version\":2}",
		  "{\"built\":true,\"version\":2}",
		  "{\"error\":{\"code\":\"PW-DISK-FULL\",\"why\":\"x\"}}", ERR_DISK_FULL },
		{ "the keeper says nothing",
		  "{\"op\":\"demand\",\"package\":\"LON00001\",\"version\":2}",
		  "{\"built\":true,\"version\":2}", "", ERR_INTERRUPTED },
		{ "a place for no package", "{\"op\":\"demand\"}", "{\"path\":\"/etc\"}", "",
		  ERR_INTERRUPTED },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char nowhere[] = "/nowhere";
		const struct state st = { .dir = nowhere };
		struct job job = { .state = &st, .worker = -1 };
		json_auto_t *question = json_loads(cases[i].question, 0, NULL);
		json_auto_t *result = NULL;
		struct err err = { 0 };
		bool done;

		answered = cases[i].answer;
		keeper_that_says(&job.keeper, cases[i].keeper);
		done = keeper_ask(&result, &job, question, ask, &err);
		if (done != (cases[i].code == ERR_NONE) || err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].why, err.why);
		assert_null(json_object_get(result, "built"));
		keeper_end(&job);
		/* One whose word was taken is left to flush. */
		assert_int_equal(job.settling != 0, done && strstr(answered, "built") != NULL);
		if (job.settling != 0)
			assert_int_equal(waitpid(job.settling, NULL, 0), job.settling);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void the_line_to_a_keeper_goes_once(void **state UNUSED)
{
	struct job job = { .worker = -1 };

	assert_int_equal(keeper_take_line(&job), -1);
	job.keeper = (struct job_keeper){ .pid = getpid(), .socket = -1, .givers = 7 };
	assert_int_equal(keeper_take_line(&job), 7);
	assert_int_equal(keeper_take_line(&job), -1);
	assert_int_equal(job.keeper.pid, getpid());
}

TESTING_MAIN(cmocka_unit_test(what_was_built_is_what_was_asked_for),
	     cmocka_unit_test(the_line_to_a_keeper_goes_once), )
