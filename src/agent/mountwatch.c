#include "agent/mountwatch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/path.h"

#define TABLE "/proc/self/mountinfo"

/* Types that may carry a server's content (nal/mountmatch.c); "fuse" stands for all of FUSE. */
static const char *const types[] = {
	"cifs", "smb3", "smbfs", "nfs", "nfs4", "davfs", "fuse",
};

static bool is_type(struct span word, const char *type)
{
	size_t size = strlen(type);

	return word.size >= size && memcmp(word.data, type, size) == 0 &&
	       (word.size == size || (strcmp(type, "fuse") == 0 && word.data[size] == '.'));
}

/* The file system's type stands behind the " - " of a line. */
static bool is_remote(struct span line)
{
	static const char mark[] = " - ";
	const uint8_t *at = memmem(line.data, line.size, mark, sizeof(mark) - 1);
	const uint8_t *end = line.data + line.size, *blank;
	struct span word;

	if (at == NULL)
		return false;
	at += sizeof(mark) - 1;
	blank = memchr(at, ' ', (size_t)(end - at));
	word = span_of(at, (size_t)((blank != NULL ? blank : end) - at));
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (is_type(word, types[i]))
			return true;
	return false;
}

/* FNV-1a: equal sets must give equal sums, and others hardly ever; nobody gains by a clash. */
static uint64_t hash_of(struct span line)
{
	uint64_t hash = 0xcbf29ce484222325U;

	for (size_t i = 0; i < line.size; i++)
		hash = (hash ^ line.data[i]) * 0x100000001b3U;
	return hash;
}

uint64_t mountwatch_sum(struct span table)
{
	uint64_t sum = 0;

	while (table.size > 0) {
		const uint8_t *end = memchr(table.data, '\n', table.size);
		size_t size = end != NULL ? (size_t)(end - table.data) : table.size;
		struct span line = span_of(table.data, size);

		if (is_remote(line))
			sum += hash_of(line);
		size += end != NULL;
		table = span_of(table.data + size, table.size - size);
	}
	return sum;
}

static uint64_t sum_now(void)
{
	SCOPED(buf) struct buf text = { 0 };
	struct err ignored;

	return path_read(&text, TABLE, MOUNTWATCH_BYTES_MAX, &ignored)
		       ? mountwatch_sum(buf_span(&text))
		       : 0;
}

void mountwatch_open(struct mountwatch *w)
{
	w->fd = open(TABLE, O_RDONLY | O_CLOEXEC);
	w->sum = sum_now();
}

void mountwatch_close(struct mountwatch *w)
{
	path_close_fd(&w->fd);
	w->fd = -1;
}

bool mountwatch_has_changed(struct mountwatch *w)
{
	uint64_t before = w->sum;

	w->sum = sum_now();
	return w->sum != before && w->sum != 0;
}
