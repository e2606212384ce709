/*
 * Opening what stands beneath a folder, and nothing else.
 *
 * Names come from manifests, metadata and directory listings of others. Whatever such a name
 * says, these calls resolve it strictly beneath the folder and through no symbolic link, by
 * openat2 where the kernel has it and component by component where it does not.
 *
 * Linux only. System-call shape on purpose (-1 and errno): callers know the object and word the
 * fault. A name that is no plain relative path fails with EINVAL, one that meets a symbolic link
 * with ELOOP (or ENOTDIR where the kernel lacks openat2).
 */
#ifndef COMMON_BENEATH_H
#define COMMON_BENEATH_H

#include <sys/types.h>

#include "common/macros.h"

/*
 * Open `path` beneath `dir_fd`; O_CLOEXEC and O_NOFOLLOW are added to `flags`, `mode` counts with
 * O_CREAT only. The caller closes the result.
 */
int beneath_open(int dir_fd, const char *path, int flags, mode_t mode) MUST_USE;

/*
 * Open the folder that holds `path`, for calls that take a folder and a last component
 * (mkdirat, symlinkat, unlinkat, fchmodat); `base_out` borrows the last component of `path`.
 */
int beneath_open_parent(int dir_fd, const char *path, const char **base_out) MUST_USE;

/* Open the folder `path` beneath `dir_fd` for listing; NULL: `dir_fd`'s own folder, opened anew. */
int beneath_open_folder(int dir_fd, const char *path) MUST_USE;

#endif
