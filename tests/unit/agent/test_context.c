#include "support/testing.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "agent/context.h"

static struct mounts_entry rclone(int64_t uid)
{
	return (struct mounts_entry){ .fstype = (char *)(uintptr_t) "fuse.rclone",
				      .fuse_uid = uid,
				      .cruid = MOUNTS_NOBODY };
}

static void without_a_user_the_systems_ways_count(void **state UNUSED)
{
	struct context c;
	const struct mounts_entry ours = rclone((int64_t)geteuid());

	context_init(&c, geteuid());
	context_set(&c, CONTEXT_NOBODY);
	assert_false(c.has_user);
	assert_true(mountmatch_counts(&ours, &c.system));
	assert_null(context_user_of(&c, &ours));
	if (geteuid() == 0) {
		assert_string_equal(context_name(&c), "system");
		assert_string_equal(context_name_of(&c, &ours), "system");
	}
	context_release(&c);
}

static void root_acts_for_a_user_with_that_account(void **state UNUSED)
{
	const struct passwd *pw = getpwnam("nobody");
	struct context c;
	struct mounts_entry roots = rclone(0), users, others;
	const struct timebox_user *as;

	if (geteuid() != 0 || pw == NULL)
		skip();
	users = rclone(pw->pw_uid);
	others = rclone((int64_t)pw->pw_uid + 1);
	context_init(&c, geteuid());
	context_set(&c, pw->pw_uid);
	assert_true(c.has_user);
	assert_string_equal(context_name(&c), "nobody");
	assert_string_equal(context_name_of(&c, &roots), "system");
	assert_string_equal(context_name_of(&c, &users), "nobody");
	assert_true(mountmatch_counts(&users, &c.user));
	assert_false(mountmatch_counts(&users, &c.system));
	assert_false(mountmatch_counts(&others, &c.user));
	assert_null(context_user_of(&c, &roots));
	as = context_user_of(&c, &users);
	assert_non_null(as);
	assert_int_equal(as->uid, pw->pw_uid);
	assert_int_equal(as->gid, pw->pw_gid);
	context_set(&c, CONTEXT_NOBODY);
	assert_false(c.has_user);
	assert_string_equal(context_name(&c), "system");
	context_release(&c);
}

static void a_uid_without_account_gets_the_systems_ways(void **state UNUSED)
{
	struct context c;

	if (geteuid() != 0 || getpwuid(3999999) != NULL)
		skip();
	context_init(&c, geteuid());
	context_set(&c, 3999999);
	assert_false(c.has_user);
	assert_string_equal(context_name(&c), "system");
	context_release(&c);
}

TESTING_MAIN(cmocka_unit_test(without_a_user_the_systems_ways_count),
	     cmocka_unit_test(root_acts_for_a_user_with_that_account),
	     cmocka_unit_test(a_uid_without_account_gets_the_systems_ways), )
