#include "content/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/beneath.h"
#include "common/path.h"

#define BUILD_DIR_MODE  0700
#define BUILD_FILE_BITS 0600 /* kept while building, whatever the final mode */
#define ROOT_MODE       0755
#define COPY_PIECE      ((size_t)64 << 20)
#define FLUSH_BYTES     ((uint64_t)16 << 20) /* of one file, handed to the disk at once */

static bool entry_fault(struct err *err, const struct tree *t, const struct manifest_entry *e)
{
	return err_sys(err, ERR_IO, errno, "%s/%s", t->path, e->path);
}

static bool open_root(struct tree *t, const char *path, const struct manifest *manifest,
		      struct err *err)
{
	*t = (struct tree){ .manifest = manifest, .fd = -1 };
	t->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->fd < 0)
		return err_sys(err, ERR_IO, errno, "folder %s", path);
	t->path = alloc_text(path);
	return true;
}

bool tree_open(struct tree *t, const char *path, const struct manifest *manifest, struct err *err)
{
	return open_root(t, path, manifest, err);
}

void tree_close(struct tree *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->path);
	*t = (struct tree)TREE_CLOSED;
}

/* Make one folder, or make the one that stands there usable; anything else there goes. */
static bool make_folder(struct tree *t, const struct manifest_entry *e, struct err *err)
{
	const char *base;
	SCOPED_FD int parent = beneath_open_parent(t->fd, e->path, &base);
	struct stat st;

	if (parent < 0)
		return entry_fault(err, t, e);
	if (mkdirat(parent, base, BUILD_DIR_MODE) == 0)
		return true;
	if (errno != EEXIST || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return entry_fault(err, t, e);
	if (S_ISDIR(st.st_mode))
		return fchmodat(parent, base, BUILD_DIR_MODE, 0) == 0 || entry_fault(err, t, e);
	if (unlinkat(parent, base, 0) != 0 || mkdirat(parent, base, BUILD_DIR_MODE) != 0)
		return entry_fault(err, t, e);
	return true;
}

static bool make_folders(struct tree *t, struct err *err)
{
	uint32_t count = manifest_entry_count(t->manifest);

	/* Ascending by path: each folder comes after its parent. */
	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, n);

		if (e->type == MANIFEST_DIR && !make_folder(t, e, err))
			return false;
	}
	return true;
}

/* What another account put there could not be written to; from a folder of ours it can go. */
static bool is_ours(const struct stat *st)
{
	uid_t own = geteuid();

	return own == 0 || st->st_uid == own;
}

/* What stands at `path` and in what form the manifest wants it there. */
static bool belongs(const struct tree *t, const char *path, const struct stat *st)
{
	const struct manifest_entry *e = manifest_find(t->manifest, path);

	if (e == NULL)
		return false;
	/* Links are made anew at the end, so none is there while files are written. */
	return (e->type == MANIFEST_DIR && S_ISDIR(st->st_mode)) ||
	       (e->type == MANIFEST_FILE && S_ISREG(st->st_mode) && st->st_nlink == 1 &&
		is_ours(st));
}

static bool mend_file(int folder, const char *name, const struct manifest_entry *e,
		      const struct stat *st)
{
	if ((st->st_mode & BUILD_FILE_BITS) != BUILD_FILE_BITS &&
	    fchmodat(folder, name, BUILD_FILE_BITS, 0) != 0)
		return false;
	if ((uint64_t)st->st_size <= e->size)
		return true;

	SCOPED_FD int fd = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && ftruncate(fd, (off_t)e->size) == 0;
}

static bool remove_beneath(const struct tree *t, const char *path, struct err *err)
{
	SCOPED_TEXT char *full = path_join(t->path, path);

	return path_remove_tree(full, err);
}

static bool prune_entry(void *ctx, int folder, const char *name, const char *path,
			const struct stat *st, struct err *err)
{
	struct tree *t = ctx;

	if (!belongs(t, path, st))
		return remove_beneath(t, path, err);
	if (S_ISREG(st->st_mode) && !mend_file(folder, name, manifest_find(t->manifest, path), st))
		return err_sys(err, ERR_IO, errno, "%s/%s", t->path, path);
	return true;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* One name in the folder `prefix` (NULL: the root). */
static bool walk_entry(const struct tree *t, int folder, const char *prefix, const char *name,
		       tree_walk_fn fn, void *ctx, struct err *err)
{
	SCOPED_TEXT char *path = prefix != NULL ? path_join(prefix, name) : alloc_text(name);
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "%s/%s", t->path, path);
	return fn(ctx, folder, name, path, &st, err);
}

static bool is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

static bool walk_folder(const struct tree *t, const char *prefix, tree_walk_fn fn, void *ctx,
			struct err *err)
{
	int fd = beneath_open_folder(t->fd, prefix);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	bool done = true;

	if (dir == NULL) {
		int failed = errno;

		path_close_fd(&fd);
		return is_absent(failed) ||
		       err_sys(err, ERR_IO, failed, "%s/%s", t->path, prefix != NULL ? prefix : "");
	}
	while (done && (entry = readdir(dir)) != NULL)
		if (!is_dots(entry->d_name))
			done = walk_entry(t, dirfd(dir), prefix, entry->d_name, fn, ctx, err);
	closedir(dir);
	return done;
}

bool tree_walk(const struct tree *t, tree_walk_fn fn, void *ctx, struct err *err)
{
	uint32_t count = manifest_entry_count(t->manifest);

	if (!walk_folder(t, NULL, fn, ctx, err))
		return false;
	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, n);

		if (e->type == MANIFEST_DIR && !walk_folder(t, e->path, fn, ctx, err))
			return false;
	}
	return true;
}

/* A folder of ours that its own modes shut is opened; anything else there, a link above all, goes.
 */
static bool make_root(bool *made_out, const char *path)
{
	struct stat st;

	*made_out = mkdir(path, BUILD_DIR_MODE) == 0;
	if (*made_out || errno != EEXIST || lstat(path, &st) != 0)
		return *made_out;
	if (S_ISDIR(st.st_mode))
		return (st.st_mode & BUILD_DIR_MODE) == BUILD_DIR_MODE ||
		       chmod(path, BUILD_DIR_MODE) == 0;
	*made_out = unlink(path) == 0 && mkdir(path, BUILD_DIR_MODE) == 0;
	return *made_out;
}

bool tree_create(struct tree *t, const char *path, const struct manifest *manifest, struct err *err)
{
	bool made_empty;

	*t = (struct tree)TREE_CLOSED;
	if (!make_root(&made_empty, path))
		return err_sys(err, ERR_IO, errno, "folder %s", path);
	if (!open_root(t, path, manifest, err))
		return false;
	if (fchmod(t->fd, BUILD_DIR_MODE) != 0) {
		err_sys(err, ERR_IO, errno, "folder %s", path);
		tree_close(t);
		return false;
	}
	t->writable = true;
	t->made_empty = made_empty;
	if (!make_folders(t, err) || (!made_empty && !tree_walk(t, prune_entry, t, err))) {
		tree_close(t);
		return false;
	}
	return true;
}

void tree_files_init(struct tree_files *files, const struct tree *tree)
{
	*files = (struct tree_files){ .tree = tree };
	for (size_t i = 0; i < TREE_FILES_OPEN; i++)
		files->open[i].fd = -1;
}

void tree_files_release(struct tree_files *files)
{
	for (size_t i = 0; i < TREE_FILES_OPEN; i++) {
		path_close_fd(&files->open[i].fd);
		files->open[i].fd = -1;
	}
}

static int open_to_read(const struct tree *t, const struct manifest_entry *e)
{
	struct stat st;
	/* O_NONBLOCK: somebody may have put a FIFO where the file was. */
	int fd = beneath_open(t->fd, e->path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
		path_close_fd(&fd), fd = -1;
	return fd;
}

static int open_to_write(const struct tree *t, const struct manifest_entry *e)
{
	return beneath_open(t->fd, e->path, O_RDWR | O_CREAT | O_NOCTTY | O_NONBLOCK,
			    BUILD_FILE_BITS);
}

static int find_open(const struct tree_files *files, uint32_t entry)
{
	for (size_t i = 0; i < TREE_FILES_OPEN; i++)
		if (files->open[i].fd >= 0 && files->open[i].entry == entry)
			return files->open[i].fd;
	return -1;
}

static void keep_open(struct tree_files *files, uint32_t entry, int fd)
{
	uint32_t slot = files->next;

	path_close_fd(&files->open[slot].fd);
	files->open[slot].entry = entry;
	files->open[slot].fd = fd;
	files->open[slot].unflushed = 0;
	files->next = (slot + 1) % TREE_FILES_OPEN;
}

static bool pread_all(int fd, uint8_t *dst, uint64_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t n = pread(fd, dst, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		dst += n;
		size -= (uint64_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

static bool pwrite_all(int fd, struct span bytes, uint64_t offset)
{
	while (bytes.size > 0) {
		ssize_t n = pwrite(fd, bytes.data, bytes.size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes = span_skip(bytes, (size_t)n);
		offset += (uint64_t)n;
	}
	return true;
}

static int file_to_read(struct tree_files *files, uint32_t entry)
{
	int fd = find_open(files, entry);

	if (fd >= 0)
		return fd;
	fd = open_to_read(files->tree, manifest_entry_at(files->tree->manifest, entry));
	if (fd >= 0)
		keep_open(files, entry, fd);
	return fd;
}

bool tree_read_file(void *dst, struct tree_files *files, uint32_t entry, uint64_t offset,
		    uint64_t size)
{
	int fd = file_to_read(files, entry);

	return fd >= 0 && pread_all(fd, dst, size, offset);
}

bool tree_map_file(struct mapped *out, struct tree_files *files, uint32_t entry)
{
	int fd = file_to_read(files, entry);

	return fd >= 0 &&
	       mapped_open(out, fd, manifest_entry_at(files->tree->manifest, entry)->size);
}

bool tree_read(void *dst, struct tree_files *files, uint64_t offset, uint32_t size)
{
	struct manifest_piece piece;

	for (struct manifest_piece_iter it = manifest_pieces(files->tree->manifest, offset, size);
	     manifest_piece_next(&it, &piece);)
		if (!tree_read_file((uint8_t *)dst + piece.range_offset, files, piece.entry,
				    piece.file_offset, piece.size))
			return false;
	return true;
}

/* A file gets its size at once unless the first write fills it, so that holes at its end count. */
static bool prepare_file(int fd, const struct manifest_entry *e, const struct manifest_piece *piece)
{
	if (fchmod(fd, tree_kept_mode(e->mode) | BUILD_FILE_BITS) != 0)
		return false;
	return piece->size == e->size || ftruncate(fd, (off_t)e->size) == 0;
}

static int file_to_write(struct tree_files *files, const struct manifest_piece *piece)
{
	const struct manifest_entry *e = manifest_entry_at(files->tree->manifest, piece->entry);
	int fd = find_open(files, piece->entry);

	if (fd >= 0)
		return fd;
	fd = open_to_write(files->tree, e);
	if (fd < 0)
		return -1;
	keep_open(files, piece->entry, fd);
	return prepare_file(fd, e, piece) ? fd : -1;
}

/* Whole pieces of zeros become holes; only what is large enough to be one in the file system. */
static bool leave_hole(const struct tree *t, int fd, struct span bytes, uint64_t offset,
		       const struct manifest_entry *e)
{
	if (bytes.size < 4096 || bytes.size == e->size || !span_is_zero(bytes))
		return false;
	return t->made_empty || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					  (off_t)offset, (off_t)bytes.size) == 0;
}

/* Let the disk work while more comes: tree_sync then waits for little. */
static void note_written(struct tree_files *files, uint32_t entry, uint64_t size)
{
	for (size_t i = 0; i < TREE_FILES_OPEN; i++) {
		if (files->open[i].fd < 0 || files->open[i].entry != entry)
			continue;
		files->open[i].unflushed += size;
		if (files->open[i].unflushed < FLUSH_BYTES)
			return;
		files->open[i].unflushed = 0;
		(void)sync_file_range(files->open[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
}

bool tree_write(struct tree_files *files, uint64_t offset, struct span bytes, struct err *err)
{
	const struct tree *t = files->tree;
	struct manifest_piece piece;

	assert(t->writable);
	for (struct manifest_piece_iter it = manifest_pieces(t->manifest, offset, bytes.size);
	     manifest_piece_next(&it, &piece);) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, piece.entry);
		struct span part = span_of(bytes.data + piece.range_offset, piece.size);
		int fd = file_to_write(files, &piece);

		if (fd < 0)
			return entry_fault(err, t, e);
		if (!leave_hole(t, fd, part, piece.file_offset, e) &&
		    !pwrite_all(fd, part, piece.file_offset))
			return entry_fault(err, t, e);
		note_written(files, piece.entry, part.size);
	}
	return true;
}

bool tree_copy_file(int to, int from, uint64_t size)
{
	off_t in = 0, out = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return true;
	while ((uint64_t)out < size) {
		ssize_t n = copy_file_range(from, &in, to, &out,
					    MIN_OF(COPY_PIECE, size - (uint64_t)out), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return false;
	}
	return true;
}

static bool complete_file(struct tree *t, const struct manifest_entry *e, struct err *err)
{
	SCOPED_FD int fd = -1;
	SCOPED_FD int from = -1;

	if (e->size > 0 && e->same_as == MANIFEST_NOT_SAME)
		return true;
	fd = open_to_write(t, e);
	if (fd < 0 || fchmod(fd, tree_kept_mode(e->mode) | BUILD_FILE_BITS) != 0 ||
	    ftruncate(fd, 0) != 0)
		return entry_fault(err, t, e);
	if (e->size == 0)
		return true;
	from = open_to_read(t, manifest_entry_at(t->manifest, e->same_as));
	return (from >= 0 && tree_copy_file(fd, from, e->size)) || entry_fault(err, t, e);
}

static bool complete_link(struct tree *t, const struct manifest_entry *e, struct err *err)
{
	const char *base;
	SCOPED_FD int parent = beneath_open_parent(t->fd, e->path, &base);

	if (parent < 0 || symlinkat(e->target, parent, base) != 0)
		return entry_fault(err, t, e);
	return true;
}

static bool set_mode(struct tree *t, const struct manifest_entry *e, int flags, struct err *err)
{
	SCOPED_FD int fd = beneath_open(t->fd, e->path, O_RDONLY | O_NONBLOCK | flags, 0);

	return (fd >= 0 && fchmod(fd, tree_kept_mode(e->mode)) == 0) || entry_fault(err, t, e);
}

/* Files that were written have their mode already, unless it lacks what writing needs. */
static bool complete_file_mode(struct tree *t, const struct manifest_entry *e, struct err *err)
{
	if (t->made_empty && (e->mode & BUILD_FILE_BITS) == BUILD_FILE_BITS)
		return true;
	return set_mode(t, e, 0, err);
}

bool tree_complete(struct tree *t, struct err *err)
{
	uint32_t count = manifest_entry_count(t->manifest);

	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, n);

		if (e->type == MANIFEST_FILE && !complete_file(t, e, err))
			return false;
	}
	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, n);

		if (e->type == MANIFEST_FILE && !complete_file_mode(t, e, err))
			return false;
		if (e->type == MANIFEST_LINK && !complete_link(t, e, err))
			return false;
	}
	/* Children before parents: a folder without write or search permission is done with. */
	for (uint32_t n = count; n-- > 0;) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, n);

		if (e->type == MANIFEST_DIR && !set_mode(t, e, O_DIRECTORY, err))
			return false;
	}
	if (fchmod(t->fd, ROOT_MODE) != 0)
		return err_sys(err, ERR_IO, errno, "folder %s", t->path);
	return true;
}

static bool sync_entry(struct tree *t, const struct manifest_entry *e)
{
	SCOPED_FD int fd = -1;

	if (e->type == MANIFEST_LINK)
		return true;
	/* Unreadable by its own mode to anyone but root: the file system's flush covers it. */
	fd = beneath_open(t->fd, e->path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return errno != ENOENT && syncfs(t->fd) == 0;
	return fsync(fd) == 0;
}

bool tree_sync(struct tree *t, struct err *err)
{
	uint32_t count = manifest_entry_count(t->manifest);

	if (count > TREE_SYNC_SINGLY) {
		if (syncfs(t->fd) != 0)
			return err_sys(err, ERR_IO, errno, "folder %s", t->path);
		return true;
	}
	for (uint32_t n = 0; n < count; n++)
		if (!sync_entry(t, manifest_entry_at(t->manifest, n)))
			return entry_fault(err, t, manifest_entry_at(t->manifest, n));
	return fsync(t->fd) == 0 || err_sys(err, ERR_IO, errno, "folder %s", t->path);
}

void tree_forget(struct tree *t)
{
	uint32_t count = manifest_entry_count(t->manifest);

	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_entry *e = manifest_entry_at(t->manifest, n);
		SCOPED_FD int fd = e->type == MANIFEST_FILE ? open_to_read(t, e) : -1;

		if (fd >= 0)
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
}
