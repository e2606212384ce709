#include "trust/secretfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define HEX_SIZE (2 * SECRETFILE_KEY_SIZE + 1)
#define FILE_MAX 256 /* the longest file is shorter than this */
#define FIRST    "packway-secret-key 1 "
#define SECOND   "public "
#define THIRD    "secret "

/*
 * The whole text of a key file, in guarded memory: a crash while a key is read or written must not
 * leave it in a core dump.
 */
struct secret_text {
	char bytes[FILE_MAX];
	size_t size;
};

static struct secret_text *secret_text_new(void)
{
	struct secret_text *t = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*t));

	if (t == NULL)
		abort();
	t->size = 0;
	return t;
}

static void secret_text_free(struct secret_text *t)
{
	sodium_free(t); /* wipes it */
}
SCOPED_FREE(secret_text);

static void append(struct secret_text *t, const char *text)
{
	size_t size = strlen(text);

	assert(t->size + size < sizeof(t->bytes));
	memcpy(t->bytes + t->size, text, size);
	t->size += size;
}

static void append_hex(struct secret_text *t, const uint8_t *key)
{
	assert(t->size + HEX_SIZE < sizeof(t->bytes));
	sodium_bin2hex(t->bytes + t->size, HEX_SIZE, key, SECRETFILE_KEY_SIZE);
	t->size += HEX_SIZE - 1;
	append(t, "\n");
}

bool secretfile_write(const char *path, const char *kind, const uint8_t *public_key,
		      const uint8_t *secret_key, struct err *err)
{
	SCOPED(secret_text) struct secret_text *t = secret_text_new();
	size_t length = strlen(path);

	/* What enrolling clients are given is called root.json: no secret may be taken for it. */
	assert(length < 9 || strcmp(path + length - 9, "root.json") != 0);
	assert(strlen(kind) <= SECRETFILE_KIND_MAX);
	if (path_exists(path))
		return err_set(err, ERR_EXISTS, "key file %s is there already", path);
	append(t, FIRST);
	append(t, kind);
	append(t, "\n" SECOND);
	append_hex(t, public_key);
	append(t, THIRD);
	append_hex(t, secret_key);
	return newfile_write(path, 0600, span_of(t->bytes, t->size), err);
}

static bool owner_and_mode_are_fine(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, errno, "key file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FORMAT, "key file %s: not a plain file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_PERMISSION, "key file %s: belongs to user %u", path,
			       (unsigned int)st.st_uid);
	if ((st.st_mode & 077) != 0) {
		err_set(err, ERR_PERMISSION, "key file %s: its mode %04o lets others read it", path,
			(unsigned int)(st.st_mode & 07777));
		return err_fix(err, "chmod 0600 %s, and think about who may have copied the key",
			       path);
	}
	return true;
}

static bool load(struct secret_text *t, const char *path, struct err *err)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "key file %s", path);
	if (!owner_and_mode_are_fine(fd, path, err))
		return false;
	got = path_read_fd(fd, t->bytes, sizeof(t->bytes));
	if (got < 0)
		return err_sys(err, ERR_IO, errno, "key file %s", path);
	t->size = (size_t)got;
	return true;
}

static bool take_text(struct span *rest, const char *expected)
{
	struct span got, view = *rest;

	if (!span_take(&view, &got, strlen(expected)) || !span_equal_text(got, expected))
		return false;
	*rest = view;
	return true;
}

static bool take_hex(struct span *rest, uint8_t *key)
{
	struct span digits;
	size_t size;

	return span_take(rest, &digits, HEX_SIZE - 1) &&
	       sodium_hex2bin(key, SECRETFILE_KEY_SIZE, (const char *)digits.data, digits.size,
			      NULL, &size, NULL) == 0 &&
	       size == SECRETFILE_KEY_SIZE && take_text(rest, "\n");
}

bool secretfile_read(uint8_t *public_out, uint8_t *secret_out, const char *path, const char *kind,
		     struct err *err)
{
	SCOPED(secret_text) struct secret_text *t = secret_text_new();
	struct span rest;

	if (!load(t, path, err))
		return false;
	rest = span_of(t->bytes, t->size);
	if (!take_text(&rest, FIRST) || !take_text(&rest, kind) || !take_text(&rest, "\n" SECOND) ||
	    !take_hex(&rest, public_out) || !take_text(&rest, THIRD) ||
	    !take_hex(&rest, secret_out) || rest.size != 0)
		return err_set(err, ERR_FORMAT, "key file %s: no %s secret key", path, kind);
	return true;
}
