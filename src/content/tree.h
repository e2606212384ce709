/*
 * A package's tree on disk, by the manifest: reading and writing ranges of its stream, and
 * building it so that nothing ever leaves the folder.
 *
 * Building: tree_create → tree_write (any order, any thread with its own tree_files) →
 * tree_complete → tree_sync. A tree that was left half-built is created again over what stands
 * there: what does not belong to the manifest is removed, folders become writable again, links
 * are made anew at the end.
 *
 * Reading (seeds, verification): tree_open → tree_read.
 *
 * All names are resolved by common/beneath.h. While a tree is built only its builder writes to it
 * (store_lock).
 */
#ifndef CONTENT_TREE_H
#define CONTENT_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/mapped.h"
#include "common/span.h"
#include "content/manifest.h"

#define TREE_FILES_OPEN 16 /* descriptors that one tree_files keeps */
#define TREE_SYNC_SINGLY                                                         \
	64 /* up to so many files each is flushed by itself, not the file system \
	    */

/* The mode that an entry of the mode `mode` gets: what is kept is nobody else's to write. */
static inline mode_t tree_kept_mode(mode_t mode)
{
	return mode & (mode_t)~S_IWOTH;
}

struct tree {
	const struct manifest *manifest; /* borrowed */
	char *path;                      /* for messages and removal */
	int fd;                          /* the root folder; -1: closed */
	bool writable;
	bool made_empty; /* by tree_create: what was not written is a hole */
};

#define TREE_CLOSED      \
	{                \
		.fd = -1 \
	}

/* Open a tree for reading. ERR_NOT_FOUND where there is none. */
bool tree_open(struct tree *t, const char *path, const struct manifest *manifest, struct err *err)
	MUST_USE;

/* Make the folder and all folders in it; what is there already is put in order as told above. */
bool tree_create(struct tree *t, const char *path, const struct manifest *manifest, struct err *err)
	MUST_USE;
void tree_close(struct tree *t);

static inline void tree_scoped(struct tree *t)
{
	tree_close(t);
}

/* The files that one thread has open in one tree: the most recent few. */
struct tree_files {
	const struct tree *tree;
	struct {
		uint32_t entry;
		int fd;             /* -1: unused */
		uint64_t unflushed; /* bytes written since the disk was last set to work */
	} open[TREE_FILES_OPEN];
	uint32_t next; /* to be replaced */
};

/* `tree` is borrowed until the release, which closes the files. */
void tree_files_init(struct tree_files *files, const struct tree *tree);
void tree_files_release(struct tree_files *files);
SCOPED_RELEASE(tree_files);

/*
 * Read `size` bytes at `offset` of the stream. False where a file is missing, no regular file, or
 * too short: an expected answer for seeds.
 */
bool tree_read(void *dst, struct tree_files *files, uint64_t offset, uint32_t size) MUST_USE;

/* Read `size` bytes at `offset` of one file, given by its entry; false as above. */
bool tree_read_file(void *dst, struct tree_files *files, uint32_t entry, uint64_t offset,
		    uint64_t size) MUST_USE;

/*
 * Map one file of at least a byte, whole. False as above, or where it cannot be mapped
 * (common/mapped.h); the caller closes the mapping.
 */
bool tree_map_file(struct mapped *out, struct tree_files *files, uint32_t entry) MUST_USE;

/*
 * Write `bytes` at `offset` of the stream, creating the files as needed. Zeros stay holes where
 * the tree was made empty. ERR_DISK_FULL: nothing that was written is lost.
 */
bool tree_write(struct tree_files *files, uint64_t offset, struct span bytes, struct err *err)
	MUST_USE;

/*
 * Fill the empty file `to` with the first `size` bytes of `from`: share the blocks where the file
 * system can, else let the kernel copy. False with errno; EIO where `from` is shorter.
 */
bool tree_copy_file(int to, int from, uint64_t size) MUST_USE;

/*
 * After the last byte: empty files, files that are the same as others, links, then modes; those
 * of folders last. The root folder gets 0755.
 */
bool tree_complete(struct tree *t, struct err *err) MUST_USE;

/* Flush the tree's files and folders to disk. */
bool tree_sync(struct tree *t, struct err *err) MUST_USE;

/*
 * After a flush that failed: have the files read from the disk next. What could not be written
 * stands in memory as if it had been (fsync(2)).
 */
void tree_forget(struct tree *t);

/*
 * Look at every name that stands in the root and in the manifest's folders, whether it belongs
 * there or not, but not inside folders that do not. Folders that are missing are passed over. `fn`
 * returns false with its fault to stop; it may remove what it was shown.
 */
struct stat;
typedef bool (*tree_walk_fn)(void *ctx, int folder_fd, const char *name, const char *path,
			     const struct stat *st, struct err *err);
bool tree_walk(const struct tree *t, tree_walk_fn fn, void *ctx, struct err *err) MUST_USE;

#endif
