/*
 * Make a tree this process's own that another account has built, which may be hostile and at work
 * at the same time. Linux only (leases).
 *
 * Afterwards no other account can change what is in it, whatever it holds open:
 *
 *   - Folders and files are given this process's account from the top down, without their access
 *     lists, and nobody else may write them: so no name in them changes any more, and no new
 *     writer comes. World-writable modes lose that bit (check.h takes that for right).
 *   - A read lease on each file tells that nobody has it open for writing. Where somebody has, or
 * it has other names (hard links) or rights of its own (file capabilities), it is replaced by a
 *     copy, which shares its blocks where the file system can.
 *   - Only then is all of it compared with the manifest, and then asked for leases once more: an
 *     open that was on its way while the account changed is found by that.
 *
 * A kill in between leaves a tree that may be taken over again from the start.
 */
#ifndef CONTENT_TAKEOVER_H
#define CONTENT_TAKEOVER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/manifest.h"

enum takeover {
	TAKEOVER_DONE,
	TAKEOVER_CHANGED, /* it is not what the manifest says, or still being written: see err */
	TAKEOVER_FAULT,   /* of this machine: see err; it may be tried again */
};

/*
 * Take over the folder `dir`, in which `tree` is. Others must not be able to replace `dir` itself.
 * Reads and hashes all of the tree, and flushes it to disk. SIGIO has to be ignored, or it ends the
 * process when somebody wants to write.
 */
enum takeover takeover_tree(const char *dir, const struct manifest *manifest, struct err *err)
	MUST_USE;

/*
 * Give all that is in `dir`, and `dir` at last, to the account `uid`, which had built it. Files
 * with other names do not go along: they may be somebody else's. ERR_LIMIT: deeper than the
 * manifest of a tree could be.
 */
bool takeover_give_back(const char *dir, uid_t uid, struct err *err) MUST_USE;

/* The mode that a file of the mode `mode` has afterwards. */
static inline mode_t takeover_mode(mode_t mode)
{
	return mode & (mode_t)~S_IWOTH;
}

/* Make the folder `dir` itself this process's own. For one whose parent is. */
bool takeover_folder(const char *dir, mode_t mode, struct err *err) MUST_USE;

#endif
