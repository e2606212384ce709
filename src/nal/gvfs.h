/*
 * A user's desktop shares (GVFS). They are one FUSE mount, `gvfsd-fuse`, whose top folder has an
 * entry for each share; so the mount table tells where the folder is, and only the folder which
 * shares there are.
 *
 * Linux only.
 */
#ifndef NAL_GVFS_H
#define NAL_GVFS_H

#include <stdint.h>

#include "nal/mounts.h"
#include "nal/timebox.h"

#define GVFS_SHARES_MAX 256  /* entries that are read; more are left out */
#define GVFS_WAIT_MS    1000 /* for the whole listing */

/*
 * Add the shares of the user `uid` to the table. The folder is listed by a child in `box`, with the
 * account that the box says, for nobody else may enter; one that does not answer in time adds
 * nothing, and is left alone while it counts as hung. No share is opened.
 */
void gvfs_add(struct mounts *table, int64_t uid, struct timebox *box);

#endif
