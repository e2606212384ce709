/*
 * Whose ways count for a request: the system's alone, or beyond them those of the user who asks
 * (NAL contexts): what that user mounted, and the shares of the user's desktop.
 *
 * The system's ways are what root mounted; without root, what this process's own user did, with the
 * shares of that user's desktop, under the user's name.
 *
 * Where root acts for a user, calls beneath the user's own mounts are made by children that have
 * the user's account: only it may enter, and who controls a mount must not be able to stop a
 * process of root. Policy and records never go over a user's mount, only content does.
 */
#ifndef AGENT_CONTEXT_H
#define AGENT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/mountmatch.h"
#include "nal/mounts.h"
#include "nal/timebox.h"

#define CONTEXT_NOBODY (-1) /* nobody but the system asks */

/* Not to be moved: its members point to each other. */
struct context {
	struct mountmatch_context system;
	struct mountmatch_context user; /* if has_user: what counts beyond the system's */
	bool has_user;
	char *name;              /* of the user whose ways count; NULL: the system's alone */
	struct timebox_user as;  /* if has_user */
	struct timebox gvfs_box; /* for the listing of shares; remembers one that hangs */
};

/* `owner` is whose state it is: root's ways are the system's, another user's are that user's. */
void context_init(struct context *c, uid_t owner);
void context_release(struct context *c);

/*
 * From now on `uid` asks, or CONTEXT_NOBODY. A uid that has no account, or that this process cannot
 * act for, gets the system's ways. Asks the account database where the user has changed.
 */
void context_set(struct context *c, int64_t uid);

/* Add the desktop shares that count. Blocks up to GVFS_WAIT_MS. */
void context_add_shares(struct context *c, struct mounts *table);

/* "system", or the user's name. */
const char *context_name(const struct context *c);

/* The same for one mount that counts: "system" where it counts without the user. */
const char *context_name_of(const struct context *c, const struct mounts_entry *mount);

/* Who has to enter a mount that counts; NULL: this process as it is. Borrowed from `c`. */
const struct timebox_user *context_user_of(const struct context *c,
					   const struct mounts_entry *mount);

#endif
