/*
 * The account that a program runs as: `root`, `user` (whoever is logged on) or a name.
 *
 * Without root there is one account: this process's own. `root` and `user` then mean that one and
 * any other name is refused.
 *
 * Asks the system's account database, which may take its time (LDAP); so it is used in the process
 * that starts the program, never in the supervisor.
 */
#ifndef AGENT_ACCOUNT_H
#define AGENT_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"

#define ACCOUNT_ROOT "root"
#define ACCOUNT_USER "user"

struct account {
	bool changes; /* false: the caller's account as it is */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int group_count;
	char *home;
};

void account_release(struct account *a);
SCOPED_RELEASE(account);

/*
 * Find the account for `as`. ERR_NOT_FOUND: no such account; ERR_REFUSED: nobody is logged on, or
 * another account is asked for without the right to change to it.
 */
bool account_find(struct account *out, const char *as, struct err *err) MUST_USE;

/*
 * The name of the logged-on user: the session at this machine's own screen before others, then the
 * oldest; system accounts (uid below 1000) do not count. NULL if nobody is; the caller frees it.
 */
char *account_logged_on(void) MUST_USE;

#endif
