/*
 * The file-system calls of the folder provider: strictly beneath an open folder, through no
 * symbolic link, results as errno values. They may hang on a network mount; whoever calls them
 * decides whether that is done in a time box.
 *
 * Linux only (openat2, renameat2).
 */
#ifndef NAL_FILEIO_H
#define NAL_FILEIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/macros.h"
#include "nal/way.h"

#define FILEIO_PIECE ((size_t)1 << 20) /* bytes moved at a time */

/* Open a regular file for reading. Returns the descriptor, or -1 with errno. */
int fileio_open(struct stat *st_out, int base_fd, const char *name) MUST_USE;

/* The token of a file as it is now: size, mtime and inode. */
void fileio_token(char out[WAY_TOKEN_SIZE], const struct stat *st);

/*
 * Write an object as way_put says: parents made (0755), under a temporary name ".new-…" first,
 * flushed, mode 0644, then renamed; the folder is flushed where it may be opened. Folders that can
 * only be written to (mode 1733) will do. Returns 0, an errno (EEXIST: create-only met the name),
 * or ECANCELED if `put->sent` ended it. Nothing is left behind then.
 */
int fileio_put(int base_fd, const char *name, const struct way_put *put) MUST_USE;

/*
 * Replace objects as way_replace_all says. Returns 0, an errno, or ECANCELED if `batch->sent` ended
 * it; what has not got its name by then is removed.
 */
int fileio_replace_all(int base_fd, const struct way_batch *batch) MUST_USE;

/* Remove a file; 0 or an errno. */
int fileio_remove(int base_fd, const char *name) MUST_USE;

/*
 * Call `entry` for each file and folder in `folder` ("" is the base itself) whose name begins with
 * no dot. 0, an errno, E2BIG after `max_entries`, or ECANCELED if `entry` ended it.
 */
int fileio_list(int base_fd, const char *folder, size_t max_entries, way_entry_fn *entry, void *ctx)
	MUST_USE;

/* True if the file system of `fd` is known to answer always: a local disk or memory. */
bool fileio_is_local(int fd);

#endif
