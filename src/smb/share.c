#include "smb/share.h"

#include <errno.h>
#include <fcntl.h>
#include <libsmbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "nal/locator.h"

#define FILES_MAX  32          /* open for reading at once */
#define TIMEOUT_MS 3600 * 1000 /* the owner's patience ends before; see share_warm_up as well */

struct file {
	char *path;
	SMBCFILE *handle;
	uint64_t used; /* by the count of uses */
	bool is_done;
};

struct share {
	const struct smbwire_hello *hello;
	const struct secret *secret;
	SMBCCTX *ctx;
	char *name; /* the share that the connection is to; NULL: none yet */
	struct file files[FILES_MAX];
	size_t file_count;
	uint64_t uses;
	SMBCFILE *writing;
	char *writing_path;
	SMBCFILE *listing;
	const struct libsmb_file_info *entry; /* read, and not told yet */
	unsigned opens;                       /* on this connection */
	bool is_warm;                         /* the library has looked whether it lives */
};

/* ---- the context ---- */

static void tell_logon(SMBCCTX *ctx, const char *server UNUSED, const char *name UNUSED,
		       char *group, int group_size, char *user, int user_size, char *secret,
		       int secret_size)
{
	const struct share *s = smbc_getOptionUserData(ctx);
	/* Without a name the library logs on as nobody; the ticket's own counts then. */
	const char *as = s->hello->logon == SMBWIRE_TICKET ? "ticket" : s->hello->user;

	if (s->hello->domain[0] != '\0')
		snprintf(group, (size_t)group_size, "%s", s->hello->domain);
	snprintf(user, (size_t)user_size, "%s", as);
	snprintf(secret, (size_t)secret_size, "%s", s->secret != NULL ? s->secret->text : "");
}

/* Signing and sealing are the server's to ask for, and are done then. */
static void set_options(SMBCCTX *ctx, struct share *s)
{
	smbc_setOptionUserData(ctx, s);
	smbc_setFunctionAuthDataWithContext(ctx, tell_logon);
	smbc_setOptionNoAutoAnonymousLogin(ctx, 1);
	smbc_setOptionUseKerberos(ctx, s->hello->logon == SMBWIRE_TICKET);
	smbc_setOptionFallbackAfterKerberos(ctx, 0);
	smbc_setOptionUseCCache(ctx, 0);
	smbc_setOptionProtocols(ctx, "SMB2_10", "SMB3_11");
	smbc_setOptionFullTimeNames(ctx, 1);
	smbc_setTimeout(ctx, TIMEOUT_MS);
	smbc_setPort(ctx, s->hello->port);
	smbc_setDebug(ctx, 0);
}

bool share_new(struct share **out, const struct smbwire_hello *hello, const struct secret *secret,
	       struct err *err)
{
	struct share *s = alloc_zeroed(1, sizeof(*s));

	s->hello = hello;
	s->secret = secret;
	s->ctx = smbc_new_context();
	if (s->ctx == NULL) {
		free(s);
		return err_sys(err, ERR_IO, errno, "libsmbclient");
	}
	set_options(s->ctx, s);
	if (smbc_init_context(s->ctx) == NULL) {
		free(s);
		return err_sys(err, ERR_IO, errno, "libsmbclient");
	}
	*out = s;
	return true;
}

/* smb://host:port/share/path, encoded; the caller frees it. */
static char *url_of(const struct share *s, const char *path)
{
	SCOPED(buf) struct buf url = { 0 };

	buf_printf(&url, "smb://%s:%u/", s->hello->host, s->hello->port);
	locator_encode(&url, s->name);
	buf_put_text(&url, "/");
	locator_encode(&url, path);
	return buf_take(&url);
}

static int fault(void)
{
	return errno != 0 ? errno : EIO;
}

/* ---- objects that are being read ---- */

static void close_file(struct share *s, size_t i)
{
	(void)smbc_getFunctionClose(s->ctx)(s->ctx, s->files[i].handle);
	free(s->files[i].path);
	s->files[i] = s->files[--s->file_count];
}

static void make_room(struct share *s)
{
	size_t oldest = 0;

	if (s->file_count < FILES_MAX)
		return;
	for (size_t i = 1; i < s->file_count; i++)
		if (s->files[i].used < s->files[oldest].used)
			oldest = i;
	close_file(s, oldest);
}

static struct file *find_file(struct share *s, const char *path)
{
	for (size_t i = 0; i < s->file_count; i++)
		if (strcmp(s->files[i].path, path) == 0)
			return &s->files[i];
	return NULL;
}

static int need_file(struct file **out, struct share *s, const char *path)
{
	struct file *f = find_file(s, path);
	SMBCFILE *handle = NULL;

	if (f == NULL) {
		SCOPED_TEXT char *url = url_of(s, path);

		make_room(s);
		errno = 0;
		handle = smbc_getFunctionOpen(s->ctx)(s->ctx, url, O_RDONLY, 0);
		if (handle == NULL)
			return fault();
		s->is_warm |= s->opens++ > 0;
		f = &s->files[s->file_count++];
		*f = (struct file){ .path = alloc_text(path), .handle = handle };
	}
	f->used = ++s->uses;
	f->is_done = false;
	*out = f;
	return 0;
}

int share_open(struct smbwire_reply *out, struct share *s, const char *path)
{
	struct stat st = { 0 };
	struct file *f;
	int failed = need_file(&f, s, path);

	if (failed != 0)
		return failed;
	errno = 0;
	if (smbc_getFunctionFstat(s->ctx)(s->ctx, f->handle, &st) != 0)
		return fault();
	out->size = (uint64_t)st.st_size;
	out->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (S_ISDIR(st.st_mode))
		out->flags |= SMBWIRE_FOLDER;
	return 0;
}

int share_read(uint64_t *got_out, struct share *s, const char *path, uint64_t offset, void *dst,
	       uint64_t size)
{
	struct file *f;
	int failed = need_file(&f, s, path);
	ssize_t got;

	if (failed != 0)
		return failed;
	errno = 0;
	if (smbc_getFunctionLseek(s->ctx)(s->ctx, f->handle, (off_t)offset, SEEK_SET) < 0)
		return fault();
	got = smbc_getFunctionRead(s->ctx)(s->ctx, f->handle, dst, (size_t)size);
	if (got < 0)
		return fault();
	*got_out = (uint64_t)got;
	return 0;
}

void share_done_with(struct share *s, const char *path)
{
	struct file *f = find_file(s, path);

	if (f != NULL)
		f->is_done = true;
}

void share_tidy(struct share *s)
{
	for (size_t i = s->file_count; i-- > 0;)
		if (s->files[i].is_done)
			close_file(s, i);
}

static void close_listing(struct share *s)
{
	if (s->listing != NULL)
		(void)smbc_getFunctionClosedir(s->ctx)(s->ctx, s->listing);
	s->listing = NULL;
	s->entry = NULL;
}

void share_leave(struct share *s)
{
	while (s->file_count > 0)
		close_file(s, s->file_count - 1);
	close_listing(s);
	(void)share_drop(s);
}

int share_enter(struct share *s, const char *name)
{
	if (s->name != NULL && strcmp(s->name, name) == 0)
		return 0;
	if (s->name != NULL) {
		share_leave(s);
		/* Never two sessions: what cannot be ended keeps the other share away. */
		if (smbc_getFunctionPurgeCachedServers(s->ctx)(s->ctx) != 0)
			return EBUSY;
	}
	free(s->name);
	s->name = alloc_text(name);
	s->is_warm = false;
	s->opens = 0;
	return 0;
}

void share_warm_up(struct share *s)
{
	SCOPED_TEXT char *url = NULL;
	SMBCFILE *handle;

	if (s->is_warm || s->file_count == 0)
		return;
	s->is_warm = true;
	url = url_of(s, s->files[0].path);
	handle = smbc_getFunctionOpen(s->ctx)(s->ctx, url, O_RDONLY, 0);
	if (handle != NULL)
		(void)smbc_getFunctionClose(s->ctx)(s->ctx, handle);
}

/* ---- objects that are being written ---- */

static SMBCFILE *create(struct share *s, const char *path)
{
	SCOPED_TEXT char *url = url_of(s, path);

	errno = 0;
	return smbc_getFunctionOpen(s->ctx)(s->ctx, url, O_WRONLY | O_CREAT | O_EXCL, 0644);
}

/* Make the folders of `path`, from the outermost that is missing; 0 or the first refusal. */
static int make_folders(struct share *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	SCOPED_TEXT char *folder = NULL;
	SCOPED_TEXT char *url = NULL;
	int failed;

	if (slash == NULL)
		return ENOENT;
	folder = alloc_copy(path, (size_t)(slash - path));
	url = url_of(s, folder);
	for (int tries = 0;; tries++) {
		errno = 0;
		if (smbc_getFunctionMkdir(s->ctx)(s->ctx, url, 0755) == 0 || errno == EEXIST)
			return 0;
		failed = fault();
		if (failed != ENOENT || tries > 0 || make_folders(s, folder) != 0)
			return failed;
	}
}

int share_create(struct share *s, const char *path)
{
	int failed;

	(void)share_drop(s);
	s->writing = create(s, path);
	if (s->writing == NULL && errno == ENOENT) {
		failed = make_folders(s, path);
		if (failed != 0)
			return failed;
		s->writing = create(s, path);
	}
	if (s->writing == NULL)
		return fault();
	s->writing_path = alloc_text(path);
	return 0;
}

int share_write(struct share *s, const void *bytes, uint64_t size)
{
	const uint8_t *at = bytes;

	if (s->writing == NULL)
		return EBADF;
	while (size > 0) {
		ssize_t n;

		errno = 0;
		n = smbc_getFunctionWrite(s->ctx)(s->ctx, s->writing, at, (size_t)size);
		if (n <= 0)
			return fault();
		at += n;
		size -= (uint64_t)n;
	}
	return 0;
}

static int end_writing(struct share *s)
{
	int failed = 0;

	errno = 0;
	if (smbc_getFunctionClose(s->ctx)(s->ctx, s->writing) != 0)
		failed = fault();
	s->writing = NULL;
	return failed;
}

int share_finish(struct share *s)
{
	int failed;

	if (s->writing == NULL)
		return EBADF;
	failed = end_writing(s);
	free(s->writing_path);
	s->writing_path = NULL;
	return failed;
}

int share_drop(struct share *s)
{
	SCOPED_TEXT char *path = s->writing_path;

	s->writing_path = NULL;
	if (s->writing == NULL)
		return 0;
	(void)end_writing(s);
	return share_delete(s, path);
}

/* One of ours that is still open would be in the way. */
static void close_if_open(struct share *s, const char *path)
{
	struct file *f = find_file(s, path);

	if (f != NULL)
		close_file(s, (size_t)(f - s->files));
}

int share_delete(struct share *s, const char *path)
{
	SCOPED_TEXT char *url = url_of(s, path);

	close_if_open(s, path);
	errno = 0;
	return smbc_getFunctionUnlink(s->ctx)(s->ctx, url) == 0 ? 0 : fault();
}

/* libsmbclient removes what stands in the way, and renames again. */
int share_rename(struct share *s, const char *from, const char *to)
{
	SCOPED_TEXT char *from_url = url_of(s, from);
	SCOPED_TEXT char *to_url = url_of(s, to);

	close_if_open(s, from);
	close_if_open(s, to);
	errno = 0;
	if (smbc_getFunctionRename(s->ctx)(s->ctx, from_url, s->ctx, to_url) == 0)
		return 0;
	return fault();
}

/* ---- folders ---- */

int share_list(struct share *s, const char *path)
{
	SCOPED_TEXT char *url = url_of(s, path);

	close_listing(s);
	errno = 0;
	s->listing = smbc_getFunctionOpendir(s->ctx)(s->ctx, url);
	return s->listing != NULL ? 0 : fault();
}

/* Attributes of a directory entry (MS-FSCC 2.6). */
#define ATTRIBUTE_FOLDER  0x10
#define ATTRIBUTE_REPARSE 0x400

static bool is_worth_telling(const struct libsmb_file_info *e)
{
	size_t size = strlen(e->name);

	return size > 0 && size <= 255 && strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0 &&
	       strchr(e->name, '/') == NULL && (e->attrs & ATTRIBUTE_REPARSE) == 0;
}

static bool tell_entry(struct buf *out, const struct libsmb_file_info *e, size_t room)
{
	struct smbwire_entry entry = {
		.is_folder = (e->attrs & ATTRIBUTE_FOLDER) != 0,
		.mtime_s = e->mtime_ts.tv_sec,
	};

	entry.size = entry.is_folder ? 0 : e->size;
	snprintf(entry.name, sizeof(entry.name), "%s", e->name);
	return smbwire_write_entry(out, &entry, room);
}

int share_next_entries(bool *end_out, struct buf *out, struct share *s, size_t room)
{
	*end_out = false;
	if (s->listing == NULL)
		return EBADF;
	for (;;) {
		if (s->entry == NULL)
			s->entry = smbc_getFunctionReaddirPlus(s->ctx)(s->ctx, s->listing);
		if (s->entry == NULL)
			break;
		if (is_worth_telling(s->entry) && !tell_entry(out, s->entry, room))
			return 0;
		s->entry = NULL;
	}
	*end_out = true;
	close_listing(s);
	return 0;
}
