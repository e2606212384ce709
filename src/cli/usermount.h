/*
 * FUSE mounts by users who may not serve them: made here by fusermount3, with the user's own rights
 * and at a place of theirs, and served by whoever gets the descriptor.
 */
#ifndef CLI_USERMOUNT_H
#define CLI_USERMOUNT_H

#include "common/error.h"
#include "common/macros.h"

/*
 * Mount at `at` (absolute), read-only, for this user alone; `source` is what the mount table shows.
 * The descriptor answers the kernel; until somebody serves it, whoever looks into `at` waits.
 *
 * ERR_UNSUPPORTED: there is no FUSE, or no fusermount3. ERR_PERMISSION: it refuses that place.
 */
bool usermount_open(int *fd_out, const char *at, const char *source, struct err *err) MUST_USE;

/* Unmount what was mounted so at `at` by this user. ERR_NOT_FOUND; ERR_IN_USE: somebody is in it.
 */
bool usermount_close(const char *at, struct err *err) MUST_USE;

/* The same at once, whoever is in it: for a mount that is served by nobody. */
void usermount_drop(const char *at);

#endif
