#include "agent/stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"

/* ---- names ---- */

char *stream_file(const struct stream *s, uint64_t first, const char *kind)
{
	return alloc_printf("%s/%016" PRIx64 ".%s", s->dir, first, kind);
}

bool stream_parse_name(uint64_t *first_out, const char **kind_out, const char *name)
{
	uint8_t bytes[8];
	char hex[17];

	if (strlen(name) < 18 || name[16] != '.')
		return false;
	memcpy(hex, name, 16);
	hex[16] = '\0';
	if (!text_unhex(bytes, sizeof(bytes), hex))
		return false;
	*first_out = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*first_out = *first_out << 8 | bytes[i];
	*kind_out = name + 17;
	return *first_out > 0;
}

bool stream_is_id(const char *text)
{
	uint8_t bytes[STREAM_ID_SIZE / 2];

	return text_unhex(bytes, sizeof(bytes), text);
}

uint64_t stream_file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* ---- segments ---- */

void stream_close(struct stream *s)
{
	path_close_fd(&s->fd);
	free(s->firsts);
	free(s->dir);
	*s = (struct stream){ .fd = -1 };
}

static bool has_segment(const struct stream *s, uint64_t first)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->firsts[i] == first)
			return true;
	return false;
}

static int compare_firsts(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool list_segments(struct stream *s, struct err *err)
{
	DIR *dir = opendir(s->dir);
	const struct dirent *e;
	const char *kind;
	uint64_t first;

	if (dir == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", s->dir);
	while ((e = readdir(dir)) != NULL) {
		if (!stream_parse_name(&first, &kind, e->d_name) || strcmp(kind, "log") != 0)
			continue;
		ALLOC_GROW(s->firsts, s->count);
		s->firsts[s->count++] = first;
	}
	closedir(dir);
	if (s->count > 1)
		qsort(s->firsts, s->count, sizeof(*s->firsts), compare_firsts);
	return true;
}

static void count_file(struct stream *s, const char *path, const char *kind)
{
	uint64_t size = stream_file_size(path);

	s->bytes += size;
	if (strcmp(kind, "log") != 0)
		s->beside += size;
}

/* Envelopes whose segment is gone, and files that were never finished; the rest is counted. */
static void sweep_files(struct stream *s)
{
	DIR *dir = opendir(s->dir);
	const struct dirent *e;

	s->bytes = s->beside = 0;
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		SCOPED_TEXT char *path = path_join(s->dir, e->d_name);
		const char *kind;
		uint64_t first;

		if (e->d_name[0] == '.' && strncmp(e->d_name, ".new-", 5) != 0)
			continue;
		if (stream_parse_name(&first, &kind, e->d_name) && has_segment(s, first))
			count_file(s, path, kind);
		else
			(void)unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
}

bool stream_start_segment(struct stream *s, struct err *err)
{
	SCOPED_TEXT char *path = stream_file(s, s->next, "log");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, STREAM_FILE_MODE);

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "segment %s", path);
	if (!path_sync_dir(s->dir, err)) {
		(void)unlink(path);
		close(fd);
		return false;
	}
	path_close_fd(&s->fd);
	s->fd = fd;
	s->end = 0;
	ALLOC_GROW(s->firsts, s->count);
	s->firsts[s->count++] = s->next;
	return true;
}

bool stream_read_segment(struct buf *out, const struct stream *s, size_t i, struct err *err)
{
	SCOPED_TEXT char *path = stream_file(s, s->firsts[i], "log");

	buf_clear(out);
	return path_read(out, path, STREAM_SEGMENT_FILE_MAX, err);
}

/* Open the last segment; a torn record at its end was never acknowledged and goes. */
static bool open_last(struct stream *s, struct err *err)
{
	SCOPED_TEXT char *path = stream_file(s, s->firsts[s->count - 1], "log");
	SCOPED(buf) struct buf bytes = { 0 };
	struct segment_record record;
	struct span rest;

	if (!stream_read_segment(&bytes, s, s->count - 1, err))
		return false;
	s->next = s->firsts[s->count - 1];
	for (rest = buf_span(&bytes); segment_take(&rest, &record, s->next); s->next++)
		;
	s->end = bytes.size - rest.size;
	s->fd = open(path, O_RDWR | O_CLOEXEC);
	if (s->fd < 0 || (rest.size > 0 && ftruncate(s->fd, (off_t)s->end) != 0))
		return err_sys(err, ERR_IO, errno, "segment %s", path);
	s->bytes -= rest.size;
	return true;
}

bool stream_open(struct stream *s, const char *dir, struct err *err)
{
	*s = (struct stream){ .fd = -1, .next = 1 };
	s->dir = alloc_text(dir);
	if (!path_make_dirs(dir, STREAM_FOLDER_MODE, err) || !list_segments(s, err))
		return false;
	sweep_files(s);
	return s->count > 0 ? open_last(s, err) : stream_start_segment(s, err);
}

uint64_t stream_open_count(const struct stream *s)
{
	return s->next - s->firsts[s->count - 1];
}

uint64_t stream_last(const struct stream *s, size_t i)
{
	return (i + 1 < s->count ? s->firsts[i + 1] : s->next) - 1;
}

static bool write_at_end(const struct stream *s, struct span frame, enum stream_sync sync,
			 struct err *err)
{
	if (lseek(s->fd, (off_t)s->end, SEEK_SET) < 0)
		return err_sys(err, ERR_IO, errno, "outbox %s", s->dir);
	if (!path_write_fd(s->fd, frame, err))
		return false;
	if (sync == STREAM_SYNC && fsync(s->fd) != 0)
		return err_sys(err, ERR_IO, errno, "outbox %s", s->dir);
	return true;
}

bool stream_append(struct stream *s, struct span key, struct span json, enum stream_sync sync,
		   struct err *err)
{
	const struct segment_record record = { .sequence = s->next, .key = key, .json = json };
	SCOPED(buf) struct buf frame = { 0 };

	segment_put(&frame, &record);
	if (stream_open_count(s) > 0 && (stream_open_count(s) >= STREAM_SEGMENT_RECORDS_MAX ||
					 s->end + frame.size > STREAM_SEGMENT_BYTES_MAX)) {
		if (sync == STREAM_LATER && fsync(s->fd) != 0)
			return err_sys(err, ERR_IO, errno, "outbox %s", s->dir);
		if (!stream_start_segment(s, err))
			return false;
	}
	if (!write_at_end(s, buf_span(&frame), sync, err)) {
		/* Whatever arrived is not acknowledged; the next record overwrites it. */
		(void)!ftruncate(s->fd, (off_t)s->end);
		return false;
	}
	s->end += frame.size;
	s->bytes += frame.size;
	s->next++;
	return true;
}
