#include "nal/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/path.h"
#include "common/text.h"

/* libsodium's pages: guarded, locked, not dumped, wiped when freed. */
void *secret_memory_new(size_t size)
{
	void *memory = sodium_init() >= 0 ? sodium_malloc(size) : NULL;

	if (memory == NULL)
		abort(); /* as everywhere else: without memory a program stops */
	sodium_memzero(memory, size);
	return memory;
}

void secret_memory_free(void *memory)
{
	sodium_free(memory);
}

struct secret *secret_new(void)
{
	return secret_memory_new(sizeof(struct secret));
}

void secret_free(struct secret *s)
{
	secret_memory_free(s);
}

static bool is_control(uint8_t byte)
{
	return byte < 0x20 || byte == 0x7f;
}

bool secret_set(struct secret *s, struct span bytes, struct err *err)
{
	if (bytes.size == 0)
		return err_set(err, ERR_FORMAT, "the secret is empty") ||
		       err_fix(err, "give the account a password; servers refuse those without");
	if (bytes.size > SECRET_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "the secret has %zu bytes, at most %d are allowed",
			       bytes.size, SECRET_BYTES_MAX);
	for (size_t i = 0; i < bytes.size; i++)
		if (is_control(bytes.data[i]))
			return err_set(err, ERR_FORMAT,
				       "the secret holds a newline or another control character") ||
			       err_fix(err, "give it as one line of text");
	if (!text_is_utf8(bytes))
		return err_set(err, ERR_FORMAT, "the secret is not UTF-8") ||
		       err_fix(err, "write it in UTF-8, as servers expect it");
	memcpy(s->text, bytes.data, bytes.size);
	memset(s->text + bytes.size, 0, sizeof(s->text) - bytes.size);
	s->size = bytes.size;
	return true;
}

/* Room for one byte too many, so that what is too long shows, and for the line's end. */
struct line {
	char bytes[SECRET_BYTES_MAX + 3];
};

static void line_scoped(struct line **line)
{
	secret_memory_free(*line);
}

static ssize_t read_some(int fd, struct line *line)
{
	/* A terminal gives a line; only ^D would be its end. */
	if (isatty(fd))
		return read(fd, line->bytes, sizeof(line->bytes));
	return path_read_fd(fd, line->bytes, sizeof(line->bytes));
}

bool secret_read(struct secret *s, int fd, struct err *err)
{
	SCOPED(line) struct line *line = secret_memory_new(sizeof(*line));
	ssize_t got = read_some(fd, line);
	size_t size;

	if (got < 0)
		return err_sys(err, ERR_IO, errno, "the secret cannot be read");
	size = (size_t)got;
	if (size > 0 && line->bytes[size - 1] == '\n')
		size--;
	if (size > 0 && size < (size_t)got && line->bytes[size - 1] == '\r')
		size--;
	return secret_set(s, span_of(line->bytes, size), err);
}
