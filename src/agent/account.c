#include "agent/account.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>

#include "common/alloc.h"

#define FIRST_REGULAR_UID 1000
#define NOBODY_UID        65534
#define GROUPS_MAX        65536

void account_release(struct account *a)
{
	free(a->groups);
	free(a->home);
	*a = (struct account){ 0 };
}

static bool is_regular(const char *name)
{
	const struct passwd *pw = getpwnam(name);

	return pw != NULL && pw->pw_uid >= FIRST_REGULAR_UID && pw->pw_uid != NOBODY_UID;
}

/* X displays and virtual terminals; everything else came over a network or a serial line. */
static bool is_local(const struct utmpx *u)
{
	return u->ut_line[0] == ':' || u->ut_host[0] == ':' ||
	       (strncmp(u->ut_line, "tty", 3) == 0 && u->ut_line[3] >= '0' &&
		u->ut_line[3] <= '9') ||
	       strncmp(u->ut_host, "login screen", 12) == 0;
}

static bool is_better(const struct utmpx *u, const struct utmpx *than)
{
	if (is_local(u) != is_local(than))
		return is_local(u);
	return u->ut_tv.tv_sec < than->ut_tv.tv_sec;
}

char *account_logged_on(void)
{
	struct utmpx best = { 0 };
	bool found = false;
	const struct utmpx *u;
	char name[sizeof(best.ut_user) + 1];

	setutxent();
	while ((u = getutxent()) != NULL) {
		if (u->ut_type != USER_PROCESS)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(u->ut_user), u->ut_user);
		if (is_regular(name) && (!found || is_better(u, &best))) {
			best = *u;
			found = true;
		}
	}
	endutxent();
	if (!found)
		return NULL;
	return alloc_printf("%.*s", (int)sizeof(best.ut_user), best.ut_user);
}

static void keep_home(struct account *out, const struct passwd *pw)
{
	out->home = alloc_text(pw != NULL && pw->pw_dir[0] == '/' ? pw->pw_dir : "/");
}

static bool find_groups(struct account *out, const char *name, struct err *err)
{
	int count = 64;

	for (;;) {
		int have = count;

		out->groups = alloc_resize(out->groups, (size_t)have * sizeof(*out->groups));
		if (getgrouplist(name, out->gid, out->groups, &count) >= 0)
			break;
		if (count <= have || count > GROUPS_MAX)
			return err_set(err, ERR_LIMIT, "account %s is in too many groups", name);
	}
	out->group_count = count;
	return true;
}

static bool find_named(struct account *out, const char *name, struct err *err)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL) {
		err_set(err, ERR_NOT_FOUND, "there is no account %s on this machine", name);
		return err_fix(err, "make the account, or name another with 'program add --as'");
	}
	keep_home(out, pw);
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	if (pw->pw_uid == geteuid())
		return true;
	if (geteuid() != 0) {
		err_set(err, ERR_REFUSED, "running as %s needs root; this agent runs as uid %u",
			name, (unsigned int)geteuid());
		return err_fix(err, "run the agent as root");
	}
	out->changes = true;
	return find_groups(out, name, err);
}

bool account_find(struct account *out, const char *as, struct err *err)
{
	SCOPED_TEXT char *logged_on = NULL;

	*out = (struct account){ .uid = geteuid(), .gid = getegid() };
	if (strcmp(as, ACCOUNT_ROOT) == 0 || (strcmp(as, ACCOUNT_USER) == 0 && geteuid() != 0)) {
		keep_home(out, getpwuid(geteuid()));
		return true;
	}
	if (strcmp(as, ACCOUNT_USER) != 0)
		return find_named(out, as, err);
	logged_on = account_logged_on();
	if (logged_on == NULL) {
		err_set(err, ERR_REFUSED, "the program runs as the logged-on user and nobody is");
		return err_fix(err, "log on, then try again");
	}
	return find_named(out, logged_on, err);
}
