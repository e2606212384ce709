#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/testing.h"

#include "agent/permit.h"
#include "common/alloc.h"
#include "common/path.h"

#define STRANGER 54321 /* a uid without an account, and so in no group */

/* A state whose plan offers one program of one package to the group of `nobody`. */
static bool open_offering_state(struct state *st, char *dir)
{
	const struct passwd *nobody = getpwnam("nobody");
	const struct group *group = nobody != NULL ? getgrgid(nobody->pw_gid) : NULL;
	json_auto_t *plan = NULL;
	struct err err;

	if (group == NULL || mkdtemp(dir) == NULL)
		return false;
	assert_done(state_open(st, dir, STATE_CREATE, &err), &err);
	plan = json_pack("{s:[{s:s,s:i,s:s,s:s,s:s,s:s}]}", "assignments", "advertisement",
			 "LON20001", "serial", 1, "package", "LON00001", "program", "install",
			 "command", "./install", "offer_to", group->gr_name);
	assert_done(state_write_json(st, "plan.json", plan, &err), &err);
	return true;
}

static void others_get_what_is_offered_to_their_group(void **state UNUSED)
{
	static const struct {
		const char *why, *op, *package, *program;
		bool stranger, want;
	} cases[] = {
		{ "an offered program", "run", "LON00001", "install", false, true },
		{ "its content", "fetch", "LON00001", NULL, false, true },
		{ "another program of it", "run", "LON00001", "remove", false, false },
		{ "another package", "fetch", "LON00002", NULL, false, false },
		{ "a cycle is the owner's", "sync", NULL, NULL, false, false },
		{ "enrolment is the owner's", "enroll", NULL, NULL, false, false },
		{ "a verb that nobody knows", "format", NULL, NULL, false, false },
		{ "looking harms nobody", "connections", NULL, NULL, false, true },
		{ "who is in no group gets nothing", "run", "LON00001", "install", true, false },
	};
	const struct passwd *nobody = getpwnam("nobody");
	char dir[] = "/tmp/test_permit.XXXXXX";
	SCOPED(state) struct state st = { 0 };
	struct err err;

	if (!open_offering_state(&st, dir))
		skip();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_auto_t *request = json_object();
		uid_t caller = cases[i].stranger ? STRANGER : nobody->pw_uid;

		jsondoc_set_text(request, "op", cases[i].op);
		jsondoc_set_text(request, "package", cases[i].package);
		jsondoc_set_text(request, "program", cases[i].program);
		if (caller != geteuid() &&
		    permit_request(&st, caller, request, &err) != cases[i].want)
			fail_msg("%s", cases[i].why);
		assert_true(permit_request(&st, 0, request, &err));
		assert_true(permit_request(&st, geteuid(), request, &err));
	}
	assert_true(path_remove_tree(dir, &err));
}

TESTING_MAIN(cmocka_unit_test(others_get_what_is_offered_to_their_group), )
