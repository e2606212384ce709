#include "content/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/arena.h"
#include "common/path.h"
#include "common/text.h"
#include "content/link.h"
#include "content/manifest.h"

#define NAMED_LINKS_MAX 5

struct source {
	char *folder;
	int root;
	struct stat root_stat;
	int64_t listed_ns;
	struct arena texts;
	struct source_entry *entries;
	uint32_t count;
	uint64_t size;
	struct buf skipped; /* text of the first links that lead out */
	uint32_t skipped_count;
};

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool stat_matches(const struct source_entry *e, const struct stat *st)
{
	return e->device == st->st_dev && e->inode == st->st_ino &&
	       e->modified_ns == nanoseconds(st->st_mtim) &&
	       e->changed_ns == nanoseconds(st->st_ctim) &&
	       (e->type != MANIFEST_FILE || e->size == (uint64_t)st->st_size);
}

static bool has_changed(struct err *err, const char *path)
{
	return err_set(err, ERR_SOURCE_CHANGED, "%s changed while it was read", path);
}

/* A failed call on something that was there a moment ago. */
static bool failed_on(struct err *err, const char *path)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return has_changed(err, path);
	return err_sys(err, ERR_IO, errno, "%s", path);
}

static bool check_name(const struct source *s, const char *path, struct err *err)
{
	struct span text = span_of_text(path);

	if (!text_is_utf8(text))
		return err_set(err, ERR_SOURCE, "the name %s is not UTF-8", path);
	if (text.size >= PATH_MAX)
		return err_set(err, ERR_LIMIT,
			       "the path %.60s… has %zu bytes, at most %d are allowed", path,
			       text.size, PATH_MAX - 1);
	if (s->count == MANIFEST_ENTRIES_MAX || s->texts.used > MANIFEST_TEXT_MAX)
		return err_set(
			err, ERR_LIMIT,
			"more than %u files and folders, or paths of more than %u bytes together",
			MANIFEST_ENTRIES_MAX, MANIFEST_TEXT_MAX);
	return true;
}

static const char *kind_of(mode_t mode)
{
	if (S_ISFIFO(mode))
		return "a named pipe";
	return S_ISSOCK(mode) ? "a socket" : "a device";
}

static bool set_type(struct source *s, struct source_entry *e, const struct stat *st,
		     struct err *err)
{
	e->mode = st->st_mode & 0777;
	if (S_ISDIR(st->st_mode)) {
		e->type = MANIFEST_DIR;
	} else if (S_ISREG(st->st_mode)) {
		e->type = MANIFEST_FILE;
		e->size = (uint64_t)st->st_size;
		s->size += e->size;
	} else if (S_ISLNK(st->st_mode)) {
		e->type = MANIFEST_LINK;
		e->mode = 0777;
	} else {
		return err_set(err, ERR_SOURCE, "%s is %s, which a package cannot hold", e->path,
			       kind_of(st->st_mode));
	}
	if (s->size > MANIFEST_STREAM_MAX)
		return err_set(err, ERR_LIMIT, "more than %llu bytes",
			       (unsigned long long)MANIFEST_STREAM_MAX);
	return true;
}

static bool read_target(struct source *s, struct source_entry *e, int folder_fd, const char *name,
			struct err *err)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(folder_fd, name, target, sizeof(target));
	struct span text = span_of(target, (size_t)MAX_OF(size, 0));

	if (size < 0)
		return failed_on(err, e->path);
	if (size == 0 || size == sizeof(target) || !text_is_utf8(text))
		return err_set(err, ERR_SOURCE,
			       "the link %s has a target that is not UTF-8 or too long", e->path);
	e->target = arena_text(&s->texts, text);
	return true;
}

/* The path of a name in a folder, "" for the root, kept as long as the source. */
static const char *keep_path(struct source *s, const char *folder, const char *name)
{
	size_t parent = strlen(folder);
	size_t size = strlen(name) + 1;
	char *path = arena_room(&s->texts, parent + (parent > 0) + size);

	memcpy(path, folder, parent);
	if (parent > 0)
		path[parent++] = '/';
	memcpy(path + parent, name, size);
	return path;
}

static bool add_entry(struct source *s, const char *folder, int folder_fd, const char *name,
		      struct err *err)
{
	struct source_entry e = { .path = keep_path(s, folder, name) };
	struct stat st;

	if (!check_name(s, e.path, err))
		return false;
	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return failed_on(err, e.path);
	e.device = st.st_dev;
	e.inode = st.st_ino;
	e.modified_ns = nanoseconds(st.st_mtim);
	e.changed_ns = nanoseconds(st.st_ctim);
	if (!set_type(s, &e, &st, err) ||
	    (e.type == MANIFEST_LINK && !read_target(s, &e, folder_fd, name, err)))
		return false;
	ALLOC_GROW(s->entries, s->count);
	s->entries[s->count++] = e;
	return true;
}

static bool list_stream(struct source *s, const char *folder, DIR *stream, struct err *err)
{
	for (;;) {
		const struct dirent *d;

		errno = 0;
		d = readdir(stream);
		if (d == NULL)
			return errno == 0 || failed_on(err, folder);
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (!add_entry(s, folder, dirfd(stream), d->d_name, err))
			return false;
	}
}

/* List one folder, "" for the root; its own folders are appended and listed in their turn. */
static bool list_folder(struct source *s, const char *folder, struct err *err)
{
	int fd = openat(s->root, folder[0] == '\0' ? "." : folder,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	bool done;

	if (stream == NULL) {
		failed_on(err, folder[0] == '\0' ? s->folder : folder);
		path_close_fd(&fd);
		return false;
	}
	done = list_stream(s, folder, stream, err);
	closedir(stream);
	return done;
}

static bool list_all(struct source *s, struct err *err)
{
	if (!list_folder(s, "", err))
		return false;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->entries[i].type == MANIFEST_DIR && !list_folder(s, s->entries[i].path, err))
			return false;
	if (s->count == 0)
		return err_set(err, ERR_SOURCE, "%s is empty", s->folder);
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct source_entry *)a)->path,
		      ((const struct source_entry *)b)->path);
}

static int compare_to_entry(const void *key, const void *entry)
{
	const struct span *path = key;
	const char *other = ((const struct source_entry *)entry)->path;
	int order = strncmp((const char *)path->data, other, path->size);

	return order != 0 ? order : -(other[path->size] != '\0');
}

static const char *find_target(struct span path, void *ctx)
{
	const struct source *s = ctx;
	const struct source_entry *e = bsearch(&path, s->entries, s->count, sizeof(*s->entries),
					       compare_to_entry);

	return e != NULL ? e->target : NULL;
}

static void note_outside_link(struct source *s, const struct source_entry *e)
{
	if (s->skipped_count < NAMED_LINKS_MAX)
		buf_printf(&s->skipped, "%s%s -> %s", s->skipped_count > 0 ? ", " : "", e->path,
			   e->target);
	if (s->skipped_count++ == NAMED_LINKS_MAX)
		buf_put_text(&s->skipped, ", …");
}

/* Links are judged with all of them in place, then those that lead out leave together. */
static bool judge_links(struct source *s, uint32_t flags, struct err *err)
{
	uint8_t *leaves = alloc_zeroed(s->count, 1);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		const struct source_entry *e = &s->entries[i];

		if (e->type != MANIFEST_LINK ||
		    link_judge(span_of_text(e->path), span_of_text(e->target), find_target, s) ==
			    LINK_INSIDE)
			continue;
		leaves[i] = 1;
		note_outside_link(s, e);
	}
	for (uint32_t i = 0; i < s->count; i++)
		if (!leaves[i])
			s->entries[kept++] = s->entries[i];
	free(leaves);
	s->count = kept;
	if (s->skipped_count > 0 && (flags & SOURCE_SKIP_OUTSIDE_LINKS) == 0)
		return err_set(err, ERR_SOURCE, "%u symbolic links lead out of the folder: %s",
			       s->skipped_count, buf_text(&s->skipped));
	if (s->count == 0)
		return err_set(err, ERR_SOURCE, "%s holds nothing but links that lead out of it",
			       s->folder);
	return true;
}

static bool open_root(struct source *s, struct err *err)
{
	s->root = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0 || fstat(s->root, &s->root_stat) != 0)
		return err_sys(err, ERR_IO, errno, "source folder %s", s->folder);
	return true;
}

static int64_t now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return nanoseconds(now);
}

bool source_open(struct source **out, const char *folder, uint32_t flags, struct err *err)
{
	SCOPED(source) struct source *s = alloc_zeroed(1, sizeof(*s));

	s->folder = alloc_text(folder);
	s->root = -1;
	s->listed_ns = now_ns();
	if (!open_root(s, err) || !list_all(s, err))
		return err_what(err, "read the source folder %s", folder);
	qsort(s->entries, s->count, sizeof(*s->entries), compare_entries);
	if (!judge_links(s, flags, err))
		return err_what(err, "read the source folder %s", folder);
	*out = s;
	s = NULL;
	return true;
}

void source_close(struct source *s)
{
	if (s == NULL)
		return;
	path_close_fd(&s->root);
	arena_release(&s->texts);
	buf_release(&s->skipped);
	free(s->entries);
	free(s->folder);
	free(s);
}

uint32_t source_entry_count(const struct source *s)
{
	return s->count;
}

const struct source_entry *source_entry_at(const struct source *s, uint32_t number)
{
	assert(number < s->count);
	return &s->entries[number];
}

uint64_t source_size(const struct source *s)
{
	return s->size;
}

int64_t source_listed_ns(const struct source *s)
{
	return s->listed_ns;
}

uint32_t source_skipped_count(const struct source *s)
{
	return s->skipped_count;
}

const char *source_skipped_text(const struct source *s)
{
	return s->skipped.data != NULL ? (const char *)s->skipped.data : "";
}

bool source_read_begin(int *fd_out, const struct source *s, uint32_t number, struct err *err)
{
	const struct source_entry *e = source_entry_at(s, number);
	/* Non-blocking, should a pipe have taken the file's place. */
	int fd = openat(s->root, e->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return failed_on(err, e->path);
	if (!source_read_end(s, number, fd, err)) {
		close(fd);
		return false;
	}
	*fd_out = fd;
	return true;
}

bool source_read_end(const struct source *s, uint32_t number, int fd, struct err *err)
{
	const struct source_entry *e = source_entry_at(s, number);
	struct stat st;

	if (fstat(fd, &st) != 0)
		return failed_on(err, e->path);
	return stat_matches(e, &st) || has_changed(err, e->path);
}

bool source_settle(const struct source *s, struct err *err)
{
	struct stat st;

	if (fstat(s->root, &st) != 0)
		return failed_on(err, s->folder);
	if (nanoseconds(st.st_mtim) != nanoseconds(s->root_stat.st_mtim))
		return has_changed(err, s->folder);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct source_entry *e = &s->entries[i];

		if (e->type != MANIFEST_DIR)
			continue;
		if (fstatat(s->root, e->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return failed_on(err, e->path);
		if (!stat_matches(e, &st))
			return has_changed(err, e->path);
	}
	return true;
}
