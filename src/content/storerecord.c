#include "content/storerecord.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/bootid.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define FIRST_LINE  "packway-store 1 bytes "
#define SECOND_LINE "unflushed "
#define RECORD_MAX  4096 /* bytes that are read */
#define RECORD_MODE 0644

static char *new_first_line(uint64_t bytes)
{
	return alloc_printf(FIRST_LINE "%" PRIu64 "\n", bytes);
}

/* The line at *at without its front and end, which ends as a text; NULL: it is none. */
static char *take_line(char **at, const char *front)
{
	char *line = *at;
	char *end = strchr(line, '\n');

	if (end == NULL || strncmp(line, front, strlen(front)) != 0)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line + strlen(front);
}

static bool is_this_boot(const char *boot)
{
	char now[BOOTID_SIZE];

	bootid_read(now);
	return now[0] != '\0' && strcmp(boot, now) == 0;
}

static bool parse(struct storerecord *out, char *text, const char *end)
{
	const char *bytes = take_line(&text, FIRST_LINE);
	const char *boot;

	if (bytes == NULL || !text_u64(&out->bytes, bytes, 0, UINT64_MAX))
		return false;
	out->counts = text == end;
	if (out->counts)
		return true;
	boot = take_line(&text, SECOND_LINE);
	out->counts = boot != NULL && is_this_boot(boot);
	return boot != NULL;
}

bool storerecord_read(struct storerecord *out, const char *path)
{
	SCOPED(buf) struct buf text = { 0 };
	struct err ignored = { 0 };
	struct stat st;

	*out = (struct storerecord){ 0 };
	if (lstat(path, &st) != 0 || !path_read(&text, path, RECORD_MAX, &ignored))
		return false;
	out->last_used_s = st.st_mtime;
	(void)buf_text(&text);
	return parse(out, (char *)text.data, (char *)text.data + text.size);
}

bool storerecord_write(const char *path, uint64_t bytes, struct err *err)
{
	SCOPED_TEXT char *text = new_first_line(bytes);

	return newfile_write(path, RECORD_MODE, span_of_text(text), err);
}

bool storerecord_begin(int *fd_out, const char *path, uint64_t bytes, struct err *err)
{
	SCOPED_TEXT char *first = new_first_line(bytes);
	SCOPED_TEXT char *text = NULL;
	SCOPED_FD int fd = -1;
	char boot[BOOTID_SIZE];

	bootid_read(boot);
	text = alloc_printf("%s" SECOND_LINE "%s\n", first, boot);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, RECORD_MODE);
	if (fd < 0 || fchmod(fd, RECORD_MODE) != 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	if (!path_write_fd(fd, span_of_text(text), err))
		return false;
	*fd_out = fd;
	fd = -1;
	return true;
}

/* Cutting the second line off is one step for the file system, and needs no lock: a version that
 * took this one's place has a record of its own. */
bool storerecord_settle(int fd, struct err *err)
{
	char text[RECORD_MAX];
	ssize_t size = pread(fd, text, sizeof(text), 0);
	const char *end = size > 0 ? memchr(text, '\n', (size_t)size) : NULL;
	struct stat st;
	struct timespec times[2];

	if (end == NULL || fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, end == NULL ? EIO : errno, "a record of the store");
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (ftruncate(fd, end + 1 - text) != 0 || futimens(fd, times) != 0 || fsync(fd) != 0)
		return err_sys(err, ERR_IO, errno, "a record of the store");
	return true;
}

void storerecord_doubt(int fd)
{
	(void)!ftruncate(fd, 0);
}

bool storerecord_remove(const char *path, const char *folder, struct err *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "remove %s", path);
	/* Whoever removed it before may have been killed before the flush. */
	return !path_exists(folder) || path_sync_dir(folder, err);
}
