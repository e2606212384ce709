#include "content/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "content/link.h"
#include "content/listing.h"
#include "content/manifest.h"

#define NAMED_LINKS_MAX 5

struct source {
	char *folder;
	int root;
	struct stat root_stat;
	int64_t listed_ns;
	struct listing listing;
	struct source_entry *entries; /* the listing's, and in manifest order */
	uint32_t count;
	struct buf skipped; /* text of the first links that lead out */
	uint32_t skipped_count;
};

static bool stat_matches(const struct source_entry *e, const struct stat *st)
{
	return e->device == st->st_dev && e->inode == st->st_ino &&
	       e->modified_ns == listing_ns(st->st_mtim) &&
	       e->changed_ns == listing_ns(st->st_ctim) &&
	       (e->type != MANIFEST_FILE || e->size == (uint64_t)st->st_size);
}

static bool has_changed(struct err *err, const char *path)
{
	return err_set(err, ERR_SOURCE_CHANGED, "%s changed while it was read", path);
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

static bool list_all(struct source *s, struct err *err)
{
	if (!listing_read(&s->listing, s->root, s->folder, err))
		return false;
	s->entries = s->listing.entries;
	s->count = s->listing.count;
	if (s->count == 0)
		return err_set(err, ERR_SOURCE, "%s is empty", s->folder);
	return true;
}

static int64_t now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return listing_ns(now);
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
	listing_release(&s->listing);
	buf_release(&s->skipped);
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
	return s->listing.size;
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
		return listing_fault(err, e->path);
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
		return listing_fault(err, e->path);
	return stat_matches(e, &st) || has_changed(err, e->path);
}

bool source_settle(const struct source *s, struct err *err)
{
	struct stat st;

	if (fstat(s->root, &st) != 0)
		return listing_fault(err, s->folder);
	if (listing_ns(st.st_mtim) != listing_ns(s->root_stat.st_mtim))
		return has_changed(err, s->folder);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct source_entry *e = &s->entries[i];

		if (e->type != MANIFEST_DIR)
			continue;
		if (fstatat(s->root, e->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return listing_fault(err, e->path);
		if (!stat_matches(e, &st))
			return has_changed(err, e->path);
	}
	return true;
}
