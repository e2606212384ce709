/*
 * Path text (pure) and the handful of file-system calls everybody needs.
 */
#ifndef COMMON_PATH_H
#define COMMON_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"

/* "a/b" from "a" and "b"; no doubled slash. The caller frees it. `b` is taken as relative. */
char *path_join(const char *a, const char *b) MUST_USE;
char *path_join3(const char *a, const char *b, const char *c) MUST_USE;

/* The last component of `path`; borrowed. */
const char *path_base(const char *path);

/*
 * True if `path` is a relative path that stays beneath its start: no empty, "." or ".."
 * component, no leading or trailing slash, no NUL, at most 4,095 bytes, components at most 255.
 */
bool path_is_beneath(struct span path);

/* True if `outer` is `inner` or one of its parents, compared after realpath of what exists. */
bool path_contains(const char *outer, const char *inner);

/* Make `dir` and its missing parents. An existing directory is fine. */
bool path_make_dirs(const char *dir, mode_t mode, struct err *err) MUST_USE;

/*
 * Append a whole file of at most `max` bytes. ERR_LIMIT where it is larger, ERR_NOT_FOUND if
 * absent. Whatever is no regular file is refused without waiting for it.
 */
bool path_read(struct buf *out, const char *path, size_t max, struct err *err) MUST_USE;

/*
 * Remove a tree of any depth without following symbolic links or leaving the file system; folders
 * that are closed are opened up. Absent is fine.
 */
bool path_remove_tree(const char *path, struct err *err);

/* True if something exists under `path` (a symbolic link counts, dangling or not). */
bool path_exists(const char *path);

/* Flush a directory's entries to disk. */
bool path_sync_dir(const char *dir, struct err *err) MUST_USE;

/* Flush everything written to the file system that holds `dir`. Blocks as long as that takes. */
bool path_sync_fs(const char *dir, struct err *err) MUST_USE;

/* write(2)/read(2) until done; interrupted calls go on. path_read_fd ends early only at the end. */
bool path_write_fd(int fd, struct span bytes, struct err *err) MUST_USE;
ssize_t path_read_fd(int fd, void *dst, size_t size);

/* Close a descriptor that goes out of scope: SCOPED_FD int fd = open(...). -1 is fine, and is what
 * it is afterwards. */
void path_close_fd(int *fd);
#define SCOPED_FD __attribute__((cleanup(path_close_fd)))

/*
 * Take an exclusive lock on the file `path` (made if needed; a symbolic link is refused, since
 * other accounts may write some folders of locks), waiting up to `wait_ms`. The lock ends when the
 * returned descriptor is closed, by whatever death. ERR_LOCKED if somebody else holds it still.
 */
bool path_lock(int *fd_out, const char *path, uint32_t wait_ms, struct err *err) MUST_USE;

/* The same, shared with other holders of the shared lock; an exclusive lock waits for all of them.
 */
bool path_lock_shared(int *fd_out, const char *path, uint32_t wait_ms, struct err *err) MUST_USE;

#endif
