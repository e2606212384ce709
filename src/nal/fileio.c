#include "nal/fileio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/beneath.h"
#include "common/path.h"
#include "common/random.h"
#include "nal/readback.h"

#define MODE_FILE   0644
#define MODE_FOLDER 0755
#define FLUSH_BYTES ((uint64_t)8 << 20)
#define TEMP_SIZE   32 /* ".new-" and 16 digits */
#define FEW_FILES   8  /* are flushed one by one: others' data on the disk need not wait for us */

#ifndef ZFS_SUPER_MAGIC
#define ZFS_SUPER_MAGIC 0x2fc12fc1
#endif

int fileio_open(struct stat *st_out, int base_fd, const char *name)
{
	/* O_NONBLOCK: a FIFO in the place of a file must not hold us. */
	int fd = beneath_open(base_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return -1;
	if (fstat(fd, st_out) == 0 && S_ISREG(st_out->st_mode))
		return fd;
	close(fd);
	errno = EISDIR;
	return -1;
}

void fileio_token(char out[WAY_TOKEN_SIZE], const struct stat *st)
{
	snprintf(out, WAY_TOKEN_SIZE, "stat:%lld-%lld.%09ld-%llu", (long long)st->st_size,
		 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		 (unsigned long long)st->st_ino);
}

/* Make the folders above `name`, from the top. */
static int make_parents(int base_fd, const char *name)
{
	SCOPED_TEXT char *work = alloc_text(name);

	for (char *slash = strchr(work, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		const char *base = work;
		int parent = base_fd;
		int rc;

		*slash = '\0';
		if (strchr(work, '/') != NULL) {
			SCOPED_TEXT char *above = alloc_printf(
				"%.*s", (int)(path_base(work) - work - 1), work);

			base = path_base(work);
			parent = beneath_open(base_fd, above, O_PATH | O_DIRECTORY, 0);
		}
		rc = parent < 0 ? -1 : mkdirat(parent, base, MODE_FOLDER);
		int fault = rc != 0 ? errno : 0;

		if (parent >= 0 && parent != base_fd)
			close(parent);
		if (fault != 0 && fault != EEXIST)
			return fault;
		*slash = '/';
	}
	return 0;
}

/* The folder above `name` by O_PATH, which asks for no right to read it; -1 with errno. */
static int open_parent(int base_fd, const char *name)
{
	const char *base = path_base(name);
	SCOPED_TEXT char *parent = NULL;

	if (base == name)
		return openat(base_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	parent = alloc_printf("%.*s", (int)(base - name - 1), name);
	return beneath_open(base_fd, parent, O_PATH | O_DIRECTORY, 0);
}

static int open_or_make_parent(int base_fd, const char *name)
{
	int fd = open_parent(base_fd, name);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	errno = make_parents(base_fd, name);
	return errno == 0 ? open_parent(base_fd, name) : -1;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Let the disk work while the next pieces come: the flush at the end then waits for little. */
static void flush_ahead(int fd, uint64_t done)
{
	if (done % FLUSH_BYTES == 0)
		(void)sync_file_range(fd, (off_t)(done - FLUSH_BYTES), FLUSH_BYTES,
				      SYNC_FILE_RANGE_WRITE);
}

static bool report(const struct way_put *put, size_t bytes)
{
	return put->sent == NULL || put->sent(bytes, put->ctx);
}

static size_t piece_of(const struct way_put *put)
{
	return put->piece > 0 ? MIN_OF(put->piece, FILEIO_PIECE) : FILEIO_PIECE;
}

static int write_span(int fd, const struct way_put *put)
{
	struct span rest = put->bytes;

	while (rest.size > 0) {
		size_t n = MIN_OF(rest.size, piece_of(put));
		int fault = write_all(fd, rest.data, n);

		if (fault != 0)
			return fault;
		if (!report(put, n))
			return ECANCELED;
		rest = span_skip(rest, n);
	}
	return 0;
}

static int write_from_fd(int fd, const struct way_put *put, struct readback *back)
{
	uint8_t *piece = alloc_resize(NULL, FILEIO_PIECE);
	uint64_t left = put->size;
	int fault = 0;

	while (left > 0 && fault == 0) {
		size_t n = (size_t)MIN_OF(left, piece_of(put));
		ssize_t got = path_read_fd(put->fd, piece, n);

		if (got != (ssize_t)n)
			fault = got < 0 ? errno : ENODATA;
		else
			fault = write_all(fd, piece, n);
		if (fault == 0)
			readback_grew(back, n);
		if (fault == 0 && !report(put, n))
			fault = ECANCELED;
		left -= n;
		flush_ahead(fd, put->size - left);
	}
	free(piece);
	return fault;
}

static bool lacks_call(int fault)
{
	return fault == EINVAL || fault == ENOSYS || fault == EOPNOTSUPP || fault == EPERM;
}

/*
 * For file systems with neither RENAME_NOREPLACE nor hard links, where a share's rename may not
 * replace either (rclone's): look, then rename. Two writers of one name at one moment may both
 * succeed; the names that are only ever created say what their bytes are.
 */
static int rename_unless_there(int dir, const char *temp, const char *base)
{
	struct stat st;

	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	if (errno != ENOENT)
		return errno;
	return renameat(dir, temp, dir, base) == 0 ? 0 : errno;
}

static int rename_new(int dir, const char *temp, const char *base)
{
	if (renameat2(dir, temp, dir, base, RENAME_NOREPLACE) == 0)
		return 0;
	if (!lacks_call(errno))
		return errno;
	if (linkat(dir, temp, dir, base, 0) == 0)
		return unlinkat(dir, temp, 0) == 0 ? 0 : errno;
	/* Some say EIO for what they lack (rclone). What is really wrong is so again below. */
	if (!lacks_call(errno) && errno != EIO)
		return errno;
	return rename_unless_there(dir, temp, base);
}

static int rename_into_place(int dir, const char *temp, const char *base, enum way_put_mode mode)
{
	if (mode == WAY_PUT_CREATE)
		return rename_new(dir, temp, base);
	return renameat(dir, temp, dir, base) == 0 ? 0 : errno;
}

static void name_temp(char temp[TEMP_SIZE])
{
	uint64_t salt;

	random_bytes(&salt, sizeof(salt));
	snprintf(temp, TEMP_SIZE, ".new-%016" PRIx64, salt);
}

enum flush {
	FLUSH_NOTHING,
	FLUSH_FILE,
	FLUSH_FILE_SYSTEM,
};

static int flush(int fd, enum flush what)
{
	if (what == FLUSH_NOTHING)
		return 0;
	return (what == FLUSH_FILE ? fsync(fd) : syncfs(fd)) == 0 ? 0 : errno;
}

static int write_temp(int dir, const char *temp, const struct way_put *put, enum flush what)
{
	/* Some file systems only let a new file be written (rclone's). */
	int access = put->back != NULL ? O_RDWR : O_WRONLY;
	int fd = openat(dir, temp, access | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE_FILE);
	struct readback *back;
	int fault;

	if (fd < 0)
		return errno;
	(void)fchmod(fd, MODE_FILE); /* whatever the umask */
	back = readback_begin(fd, put->back, put->back_ctx);
	fault = put->bytes.data != NULL ? write_span(fd, put) : write_from_fd(fd, put, back);
	if (fault == 0)
		fault = flush(fd, what);
	if (fault == 0)
		readback_finish(back);
	else
		readback_drop(back);
	if (close(fd) != 0 && fault == 0)
		fault = errno;
	return fault;
}

/* A folder that cannot be read (an inbox) cannot be flushed either; its file is flushed. */
static void sync_folder(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

int fileio_put(int base_fd, const char *name, const struct way_put *put)
{
	int dir = open_or_make_parent(base_fd, name);
	char temp[TEMP_SIZE];
	int fault;

	if (dir < 0)
		return errno;
	name_temp(temp);
	fault = write_temp(dir, temp, put, FLUSH_FILE);
	if (fault == 0)
		fault = rename_into_place(dir, temp, path_base(name), put->mode);
	if (fault != 0)
		(void)unlinkat(dir, temp, 0);
	else
		sync_folder(dir);
	close(dir);
	return fault;
}

/* ---- many at once ---- */

/* Files of a batch under their temporary names. */
struct temps {
	int dir;
	const struct way_batch *batch;
	char (*names)[TEMP_SIZE];
	bool together; /* flush the file system once instead of each file */
	size_t made;
	size_t named; /* of them, those that have their own names by now */
};

/* A server is asked to flush what it holds by fsync of a file alone. */
static bool may_flush_together(int dir, const struct way_batch *batch)
{
	return batch->count > FEW_FILES && fileio_is_local(dir);
}

/* The last one brings all of them to the disk. */
static enum flush flush_of(const struct temps *t)
{
	if (!t->together)
		return FLUSH_FILE;
	return t->made + 1 < t->batch->count ? FLUSH_NOTHING : FLUSH_FILE_SYSTEM;
}

static int make_temps(struct temps *t)
{
	const struct way_batch *batch = t->batch;
	int fault = 0;

	while (t->made < batch->count && fault == 0) {
		const struct way_put put = {
			.bytes = batch->objects[t->made].bytes,
			.sent = batch->sent,
			.ctx = batch->ctx,
			.piece = batch->piece,
		};

		name_temp(t->names[t->made]);
		fault = write_temp(t->dir, t->names[t->made], &put, flush_of(t));
		t->made++;
	}
	return fault;
}

static int name_all(struct temps *t)
{
	while (t->named < t->made) {
		int fault = rename_into_place(t->dir, t->names[t->named],
					      t->batch->objects[t->named].name, WAY_PUT_REPLACE);

		if (fault != 0)
			return fault;
		t->named++;
	}
	return 0;
}

static int replace_in(int dir, const struct way_batch *batch)
{
	struct temps t = {
		.dir = dir,
		.batch = batch,
		.together = may_flush_together(dir, batch),
	};
	int fault;

	t.names = alloc_zeroed(batch->count, sizeof(*t.names));
	fault = make_temps(&t);
	if (fault == 0)
		fault = name_all(&t);
	if (t.named > 0)
		sync_folder(dir);
	for (size_t i = t.named; i < t.made; i++)
		(void)unlinkat(dir, t.names[i], 0);
	free(t.names);
	return fault;
}

int fileio_replace_all(int base_fd, const struct way_batch *batch)
{
	/* Whatever the name, it stands in that folder. */
	SCOPED_TEXT char *name = alloc_printf("%s/.", batch->folder);
	int dir = open_or_make_parent(base_fd, name);
	int fault;

	if (dir < 0)
		return errno;
	fault = replace_in(dir, batch);
	close(dir);
	return fault;
}

int fileio_remove(int base_fd, const char *name)
{
	int dir = open_parent(base_fd, name);
	int fault;

	if (dir < 0)
		return errno;
	fault = unlinkat(dir, path_base(name), 0) == 0 ? 0 : errno;
	close(dir);
	return fault;
}

static int list_one(int dir, const char *name, way_entry_fn *entry, void *ctx)
{
	struct way_entry e = { .name = name };
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : errno; /* gone since */
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	e.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	e.mtime_s = st.st_mtim.tv_sec;
	e.is_folder = S_ISDIR(st.st_mode);
	return entry(&e, ctx) ? 0 : ECANCELED;
}

int fileio_list(int base_fd, const char *folder, size_t max_entries, way_entry_fn *entry, void *ctx)
{
	int fd = folder[0] == '\0' ? openat(base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				   : beneath_open(base_fd, folder, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *d;
	size_t count = 0;
	int fault = dir == NULL ? errno : 0;

	if (dir == NULL && fd >= 0)
		close(fd);
	errno = 0;
	while (dir != NULL && fault == 0 && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] != '.')
			fault = count++ < max_entries ? list_one(fd, d->d_name, entry, ctx) : E2BIG;
		errno = 0;
	}
	if (dir != NULL) {
		if (fault == 0)
			fault = errno;
		closedir(dir);
	}
	return fault;
}

bool fileio_is_local(int fd)
{
	static const unsigned long local[] = {
		EXT4_SUPER_MAGIC,  XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
		RAMFS_MAGIC,       OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,  SQUASHFS_MAGIC,
		ISOFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC,     ZFS_SUPER_MAGIC,   EROFS_SUPER_MAGIC_V1,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(local); i++)
		if ((unsigned long)fs.f_type == local[i])
			return true;
	return false;
}
