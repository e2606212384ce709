/*
 * The mount table, read by libmount: what is mounted, from where, by whom. Reading it touches no
 * server and triggers no automounter. mountmatch.h says what an entry means for an address.
 *
 *     struct mounts table = { 0 };
 *     mounts_read(&table, NULL, err) … mounts_release(&table)
 */
#ifndef NAL_MOUNTS_H
#define NAL_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/locator.h"

#define MOUNTS_MAX 16384 /* entries that are read; more is ERR_LIMIT */

#define MOUNTS_NOBODY (-1) /* no uid is named */

struct mounts_entry {
	char *source; /* "//nas/share", "nas:/export", "http://…", a device, a folder */
	char *fstype; /* "cifs", "fuse.rclone", … */
	char *root;   /* what part of the file system is mounted; "/" mostly */
	char *target; /* where */
	char *addr;   /* the server's address, where the file system tells; else NULL */
	char *user;   /* who mounted it by the user or users option; else NULL */
	uint64_t device;
	int id, parent;    /* of the table; 0: not from there */
	int64_t fuse_uid;  /* FUSE: who mounted it; else MOUNTS_NOBODY */
	int64_t cruid;     /* cifs: whose credentials; else MOUNTS_NOBODY */
	bool allows_other; /* FUSE: others than fuse_uid may enter */
	bool is_hidden;    /* something else is mounted on top */

	bool names_place;     /* `where` is set */
	struct locator where; /* the place that the source and root name */
};

struct mounts {
	struct mounts_entry *entries;
	size_t count;
};

/*
 * Read the table of this process, or the file `path` in the format of /proc/self/mountinfo. `out`
 * must be empty. Does not block on file systems.
 */
bool mounts_read(struct mounts *out, const char *path, struct err *err) MUST_USE;

/*
 * Add one entry of a user's GVFS folder, such as "smb-share:server=nas,share=pub", found beneath
 * `folder` and owned by `uid`. Entries that name no place are left out. GVFS is one FUSE mount, so
 * the caller lists the folder (in a time box).
 */
void mounts_add_gvfs(struct mounts *table, const char *folder, const char *entry, int64_t uid);

void mounts_release(struct mounts *table);
SCOPED_RELEASE(mounts);

#endif
