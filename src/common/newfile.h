/*
 * A file that appears under its name whole or not at all.
 *
 *     newfile_begin → write to nf.fd → newfile_commit
 *
 * The bytes are written beside the target under a temporary name (".new-…"), flushed, and renamed;
 * the folder is flushed after. After a kill at any point the old file, or none, stands there; a
 * left-over ".new-…" is removed by whoever cleans the folder.
 */
#ifndef COMMON_NEWFILE_H
#define COMMON_NEWFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

struct newfile {
	int fd; /* -1 when nothing is under way */
	char *path;
	char *temp;
};

#define NEWFILE_EMPTY    \
	{                \
		.fd = -1 \
	}

bool newfile_begin(struct newfile *nf, const char *path, mode_t mode, struct err *err) MUST_USE;

/* Choose another name in the same folder for a file under way: one known only at its end. */
void newfile_retarget(struct newfile *nf, const char *path);

/*
 * Make the content visible and durable. On failure the old file stands and `nf` is abandoned; only
 * where the folder cannot be flushed at the very end the new one stands already, as whole.
 */
bool newfile_commit(struct newfile *nf, struct err *err) MUST_USE;

/*
 * Make the content visible without flushing anything: for a batch of files that nothing refers to
 * before path_sync_fs was called once for all of them. After a power cut before that the name may
 * hold anything.
 */
bool newfile_commit_unflushed(struct newfile *nf, struct err *err) MUST_USE;

/* Drop what was written; nothing happens after a commit or before a begin. */
void newfile_abandon(struct newfile *nf);

static inline void newfile_scoped(struct newfile *nf)
{
	newfile_abandon(nf);
}

/* Replace `path` by `bytes` in one step. */
bool newfile_write(const char *path, mode_t mode, struct span bytes, struct err *err) MUST_USE;

/* The same without a flush, for what is learned again: after a power cut anything may stand there.
 */
bool newfile_write_unflushed(const char *path, mode_t mode, struct span bytes, struct err *err)
	MUST_USE;

#endif
