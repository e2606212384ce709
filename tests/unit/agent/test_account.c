/*
 * Accounts, and who is logged on. As root, with an account database and a table of sessions of this
 * test's own: /etc/passwd is covered in a mount namespace.
 */
#include "support/testing.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmpx.h>

#include "agent/account.h"
#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"

#define ACCOUNTS                                   \
	"root:x:0:0:root:/root:/bin/sh\n"          \
	"printer:x:990:990::/:/usr/sbin/nologin\n" \
	"alice:x:4321:4321::/home/alice:/bin/sh\n" \
	"bob:x:4322:4322::/home/bob:/bin/sh\n"     \
	"nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
#define GROUPS                                    \
	"root:x:0:\nalice:x:4321:\nbob:x:4322:\n" \
	"plugdev:x:46:alice\n"

struct place {
	char dir[64];
	char *sessions;
	bool covered; /* in a mount namespace of our own */
};

struct session {
	const char *user, *line, *host;
	int since;
	short type; /* 0: USER_PROCESS */
};

static bool cover(const struct place *p, const char *name, const char *target, const char *text)
{
	SCOPED_TEXT char *path = path_join(p->dir, name);
	struct err err;

	return newfile_write(path, 0644, span_of_text(text), &err) &&
	       mount(path, target, NULL, MS_BIND, NULL) == 0;
}

static int make_place(void **state)
{
	struct place *p = alloc_zeroed(1, sizeof(*p));
	struct err err;

	snprintf(p->dir, sizeof(p->dir), "/tmp/test_account-XXXXXX");
	if (mkdtemp(p->dir) == NULL)
		return 1;
	p->sessions = path_join(p->dir, "utmp");
	*state = p;
	if (!newfile_write(p->sessions, 0600, span_of_text(""), &err) ||
	    utmpxname(p->sessions) != 0)
		return 1;
	return 0;
}

/* In the namespace the file is in use under its covers. */
static int remove_place(void **state)
{
	struct place *p = *state;
	struct err err;
	bool done;

	if (p->covered) {
		(void)umount("/etc/passwd");
		(void)umount("/etc/group");
	}
	endutxent();
	done = path_remove_tree(p->dir, &err);
	free(p->sessions);
	free(p);
	return done ? 0 : 1;
}

static void cover_accounts(struct place *p)
{
	/* In a chroot the root is no mount, and what is covered here would be covered everywhere.
	 */
	if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		skip();
	p->covered = true;
	assert_true(cover(p, "passwd", "/etc/passwd", ACCOUNTS));
	assert_true(cover(p, "group", "/etc/group", GROUPS));
}

static void log_on(const struct session *s)
{
	struct utmpx u = { .ut_type = s->type != 0 ? s->type : USER_PROCESS, .ut_pid = getpid() };

	u.ut_tv.tv_sec = s->since;
	memcpy(u.ut_user, s->user, MIN_OF(strlen(s->user), sizeof(u.ut_user)));
	memcpy(u.ut_line, s->line, MIN_OF(strlen(s->line), sizeof(u.ut_line)));
	memcpy(u.ut_host, s->host, MIN_OF(strlen(s->host), sizeof(u.ut_host)));
	memcpy(u.ut_id, s->line + (strlen(s->line) > 4 ? strlen(s->line) - 4 : 0),
	       MIN_OF(strlen(s->line), (size_t)4));
	setutxent();
	assert_non_null(pututxline(&u));
	endutxent();
}

static void the_user_at_the_screen_comes_first_then_the_oldest(void **state)
{
	static const struct {
		const char *why;
		struct session sessions[4];
		const char *who; /* NULL: nobody */
	} cases[] = {
		{ "nobody", { { 0 } }, NULL },
		{ "one", { { "alice", "pts/0", "10.0.0.1", 100, 0 } }, "alice" },
		{ "the oldest of two",
		  { { "bob", "pts/0", "10.0.0.1", 200, 0 },
		    { "alice", "pts/1", "10.0.0.2", 100, 0 } },
		  "alice" },
		{ "a screen before an older remote one",
		  { { "alice", "pts/0", "10.0.0.1", 100, 0 }, { "bob", ":0", ":0", 200, 0 } },
		  "bob" },
		{ "a console as well",
		  { { "alice", "pts/0", "10.0.0.1", 100, 0 }, { "bob", "tty1", "", 200, 0 } },
		  "bob" },
		{ "no system account, nobody or stranger",
		  { { "root", "tty1", "", 50, 0 },
		    { "printer", "tty2", "", 60, 0 },
		    { "nobody", "tty3", "", 70, 0 },
		    { "stranger", "tty4", "", 80, 0 } },
		  NULL },
		{ "no session that has ended",
		  { { "alice", "tty1", "", 50, DEAD_PROCESS },
		    { "bob", "pts/0", "10.0.0.1", 90, 0 } },
		  "bob" },
	};
	struct place *p = *state;

	cover_accounts(p);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED_TEXT char *who = NULL;

		assert_int_equal(truncate(p->sessions, 0), 0);
		for (size_t k = 0; k < 4 && cases[i].sessions[k].user != NULL; k++)
			log_on(&cases[i].sessions[k]);
		who = account_logged_on();
		if (cases[i].who == NULL ? who != NULL
					 : who == NULL || strcmp(who, cases[i].who) != 0)
			fail_msg("%s: %s", cases[i].why, who != NULL ? who : "nobody");
	}
}

static bool has_group(const struct account *a, gid_t gid)
{
	for (int i = 0; i < a->group_count; i++)
		if (a->groups[i] == gid)
			return true;
	return false;
}

static void user_means_whoever_is_logged_on(void **state)
{
	const struct session alice = { "alice", ":0", ":0", 100, 0 };
	SCOPED(account) struct account a = { 0 };
	struct err err;

	cover_accounts(*state);
	assert_false(account_find(&a, ACCOUNT_USER, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	log_on(&alice);
	assert_done(account_find(&a, ACCOUNT_USER, &err), &err);
	assert_true(a.changes);
	assert_int_equal(a.uid, 4321);
	assert_int_equal(a.gid, 4321);
	assert_string_equal(a.home, "/home/alice");
	assert_true(has_group(&a, 46));
	assert_false(has_group(&a, 0));
}

static void root_is_this_process_own_account(void **state UNUSED)
{
	SCOPED(account) struct account a = { 0 };
	struct err err;

	assert_done(account_find(&a, ACCOUNT_ROOT, &err), &err);
	assert_false(a.changes);
	assert_int_equal(a.uid, geteuid());
}

static void an_unknown_name_is_no_account(void **state UNUSED)
{
	SCOPED(account) struct account a = { 0 };
	struct err err;

	assert_false(account_find(&a, "no-such-account", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

#define CASE(behaviour) cmocka_unit_test_setup_teardown(behaviour, make_place, remove_place)

TESTING_MAIN(CASE(the_user_at_the_screen_comes_first_then_the_oldest),
	     CASE(user_means_whoever_is_logged_on), CASE(root_is_this_process_own_account),
	     CASE(an_unknown_name_is_no_account), )
