/*
 * What a mount means for a site system's address: which place it names, who may use it, and where
 * beneath it the content lies.
 *
 * A match by the table is a candidate way. It is used only after the system's marker was read
 * through it and holds the right UUID, for a table is just what somebody wrote into a mount's
 * source.
 *
 * - Network file systems (cifs, smb3, nfs, davfs) and FUSE mounts count by their source, whether
 *   it names the server as the address does, by its IP address (addr=), or by its short name.
 *   What sshfs shows are the server's own paths, which is how NFS names its exports.
 * - For folders (file://) these count: a network or FUSE mount that the folder lies on, a FUSE
 *   mount whose source is the folder, and a bind mount that shows the folder elsewhere.
 * - The system's context sees what root mounted, a user's what that user and root mounted.
 *
 * PURE.
 */
#ifndef NAL_MOUNTMATCH_H
#define NAL_MOUNTMATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/locator.h"
#include "nal/mounts.h"
#include "nal/waykind.h"

/* Whose mounts count. Without root the effective uid stands in for root's. */
struct mountmatch_context {
	int64_t uid;
	const char *user;                        /* the user's name; NULL for the system */
	const struct mountmatch_context *beyond; /* leave out what counts there; NULL: nothing */
};

struct mountmatch {
	const struct mounts_entry *mount;
	size_t address; /* index */
	enum waykind_evidence evidence;
	char *at; /* with WAYKIND_EVIDENCE_PATH: where the content lies; else NULL */
};

/* { 0 } is empty. */
struct mountmatch_list {
	struct mountmatch *items;
	size_t count;
};

void mountmatch_list_release(struct mountmatch_list *list);
SCOPED_RELEASE(mountmatch_list);

/* Add every mount that says something of one of the addresses. The list points into the table. */
void mountmatch_find(struct mountmatch_list *out, const struct mounts *table,
		     const struct mountmatch_context *context,
		     const struct locator *const *addresses, size_t address_count);

/* True if the mount counts in this context. */
bool mountmatch_counts(const struct mounts_entry *mount, const struct mountmatch_context *context);

/* The place that an entry's source and root name; false where it names none. `out` must be empty.
 */
bool mountmatch_source(struct locator *out, const struct mounts_entry *entry);

/*
 * The source that a GVFS folder's entry stands for: "//nas/pub" or, with a port,
 * "smb://nas:1445/pub", "https://web/packway", "nfs://nas/export"; NULL for other kinds. The caller
 * frees it.
 */
char *mountmatch_gvfs_source(const char *entry) MUST_USE;

/* Mark the entries that others at the same place, or above it, have covered since. */
void mountmatch_hide(struct mounts *table);

#endif
