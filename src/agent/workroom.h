/*
 * The account that root's workers have, and the rooms of the state folder that are theirs: what
 * they write. All else in the state is root's.
 *
 *     workroom_find → workroom_give, before each worker starts
 *
 * An account is named, or is a number without a name; a machine that has no such account, and
 * `root`, leave a worker as it was: root, with little of root's rights (sandbox.h). Without root
 * there is one account, this process's own.
 */
#ifndef AGENT_WORKROOM_H
#define AGENT_WORKROOM_H

#include "agent/state.h"
#include "common/error.h"
#include "common/macros.h"

#define WORKROOM_ACCOUNT_DEFAULT "packway-worker" /* the package makes it */

struct workroom_account {
	bool changes; /* false: workers stay who their parent is */
	uid_t uid;
	gid_t gid;
};

/* `name` may be NULL: the default. Asks the account database. */
void workroom_find(struct workroom_account *out, const char *name);

/*
 * Make the rooms the account's, or root's again where it changes nothing. What is in them follows
 * once, when a room changes hands: nobody but root had written there. Does nothing without root.
 */
bool workroom_give(const struct state *st, const struct workroom_account *account, struct err *err)
	MUST_USE;

#endif
