#include "content/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/text.h"
#include "content/manifest.h"

#define FEW_FOLDERS 4 /* that wait: below it a second thread would be started for nothing */

struct work;

/* A thread, with what it found. */
struct hand {
	struct work *work;
	struct arena texts;
	struct source_entry *entries;
	uint32_t count;
	uint64_t size;
	struct err err;
	bool has_failed;
};

struct work {
	int root;
	const char *folder;
	struct hand hands[LISTING_HANDS]; /* the caller is the first */
	pthread_t second;
	bool has_second;      /* tried to, at least */
	bool has_thread;      /* and got one */
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	const char **folders; /* found, "" for the root */
	size_t count, next;
	unsigned int busy; /* hands at a folder, which may find more */
	bool has_failed;
};

bool listing_fault(struct err *err, const char *path)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return err_set(err, ERR_SOURCE_CHANGED, "%s changed while it was read", path);
	return err_sys(err, ERR_IO, errno, "%s", path);
}

/* ---- one folder ---- */

static bool too_many(struct err *err)
{
	return err_set(err, ERR_LIMIT,
		       "more than %u files and folders, or paths of more than %u bytes together",
		       MANIFEST_ENTRIES_MAX, MANIFEST_TEXT_MAX);
}

static bool too_large(struct err *err)
{
	return err_set(err, ERR_LIMIT, "more than %llu bytes",
		       (unsigned long long)MANIFEST_STREAM_MAX);
}

static bool check_name(const struct hand *h, const char *path, struct err *err)
{
	struct span text = span_of_text(path);

	if (!text_is_utf8(text))
		return err_set(err, ERR_SOURCE, "the name %s is not UTF-8", path);
	if (text.size >= PATH_MAX)
		return err_set(err, ERR_LIMIT,
			       "the path %.60s… has %zu bytes, at most %d are allowed", path,
			       text.size, PATH_MAX - 1);
	if (h->count == MANIFEST_ENTRIES_MAX || h->texts.used > MANIFEST_TEXT_MAX)
		return too_many(err);
	return true;
}

static const char *kind_of(mode_t mode)
{
	if (S_ISFIFO(mode))
		return "a named pipe";
	return S_ISSOCK(mode) ? "a socket" : "a device";
}

static bool set_type(struct hand *h, struct source_entry *e, const struct stat *st, struct err *err)
{
	e->mode = st->st_mode & 0777;
	if (S_ISDIR(st->st_mode)) {
		e->type = MANIFEST_DIR;
	} else if (S_ISREG(st->st_mode)) {
		e->type = MANIFEST_FILE;
		e->size = (uint64_t)st->st_size;
		h->size += e->size;
	} else if (S_ISLNK(st->st_mode)) {
		e->type = MANIFEST_LINK;
		e->mode = 0777;
	} else {
		return err_set(err, ERR_SOURCE, "%s is %s, which a package cannot hold", e->path,
			       kind_of(st->st_mode));
	}
	return h->size <= MANIFEST_STREAM_MAX || too_large(err);
}

static bool read_target(struct hand *h, struct source_entry *e, int folder_fd, const char *name,
			struct err *err)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(folder_fd, name, target, sizeof(target));
	struct span text = span_of(target, (size_t)MAX_OF(size, 0));

	if (size < 0)
		return listing_fault(err, e->path);
	if (size == 0 || size == sizeof(target) || !text_is_utf8(text))
		return err_set(err, ERR_SOURCE,
			       "the link %s has a target that is not UTF-8 or too long", e->path);
	e->target = arena_text(&h->texts, text);
	return true;
}

/* The path of a name in a folder, "" for the root, kept as long as the listing. */
static const char *keep_path(struct hand *h, const char *folder, const char *name)
{
	size_t parent = strlen(folder);
	size_t size = strlen(name) + 1;
	char *path = arena_room(&h->texts, parent + (parent > 0) + size);

	memcpy(path, folder, parent);
	if (parent > 0)
		path[parent++] = '/';
	memcpy(path + parent, name, size);
	return path;
}

static bool add_entry(struct hand *h, const char *folder, int folder_fd, const char *name,
		      struct err *err)
{
	struct source_entry e = { .path = keep_path(h, folder, name) };
	struct stat st;

	if (!check_name(h, e.path, err))
		return false;
	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return listing_fault(err, e.path);
	e.device = st.st_dev;
	e.inode = st.st_ino;
	e.modified_ns = listing_ns(st.st_mtim);
	e.changed_ns = listing_ns(st.st_ctim);
	if (!set_type(h, &e, &st, err) ||
	    (e.type == MANIFEST_LINK && !read_target(h, &e, folder_fd, name, err)))
		return false;
	ALLOC_GROW(h->entries, h->count);
	h->entries[h->count++] = e;
	return true;
}

static bool list_stream(struct hand *h, const char *folder, DIR *stream, struct err *err)
{
	for (;;) {
		const struct dirent *d;

		errno = 0;
		d = readdir(stream);
		if (d == NULL)
			return errno == 0 || listing_fault(err, folder);
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (!add_entry(h, folder, dirfd(stream), d->d_name, err))
			return false;
	}
}

static bool list_folder(struct hand *h, const char *folder, struct err *err)
{
	int fd = openat(h->work->root, folder[0] == '\0' ? "." : folder,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	bool done;

	if (stream == NULL) {
		listing_fault(err, folder[0] == '\0' ? h->work->folder : folder);
		path_close_fd(&fd);
		return false;
	}
	done = list_stream(h, folder, stream, err);
	closedir(stream);
	return done;
}

/* ---- all of them ---- */

/* The next folder; NULL: there is none, and nobody finds another. */
static const char *take_folder(struct work *w)
{
	const char *folder = NULL;

	pthread_mutex_lock(&w->lock);
	while (w->next == w->count && w->busy > 0 && !w->has_failed)
		pthread_cond_wait(&w->changed, &w->lock);
	if (w->next < w->count && !w->has_failed) {
		folder = w->folders[w->next++];
		w->busy++;
	}
	pthread_mutex_unlock(&w->lock);
	return folder;
}

/* Hand in the folders among the entries from `first` on. Returns how many wait. */
static size_t hand_in(struct hand *h, uint32_t first, bool done)
{
	struct work *w = h->work;
	size_t waiting;

	pthread_mutex_lock(&w->lock);
	for (uint32_t i = first; i < h->count; i++) {
		if (h->entries[i].type != MANIFEST_DIR)
			continue;
		ALLOC_GROW(w->folders, w->count);
		w->folders[w->count++] = h->entries[i].path;
	}
	w->busy--;
	h->has_failed = !done;
	w->has_failed = w->has_failed || !done;
	waiting = w->count - w->next;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return waiting;
}

static void *work_on(void *ctx)
{
	struct hand *h = ctx;
	struct work *w = h->work;
	const char *folder;

	while ((folder = take_folder(w)) != NULL) {
		uint32_t first = h->count;
		size_t waiting = hand_in(h, first, list_folder(h, folder, &h->err));

		if (h != &w->hands[0] || w->has_second || waiting < FEW_FOLDERS)
			continue;
		/* Without a thread it takes longer, no more. */
		w->has_second = true;
		w->has_thread = pthread_create(&w->second, NULL, work_on, &w->hands[1]) == 0;
	}
	return NULL;
}

/* Put together what the hands found; it is the listing's from here on. */
static bool gather(struct listing *out, struct work *w, struct err *err)
{
	struct hand *a = &w->hands[0], *b = &w->hands[1];
	bool fits = b->count <= MANIFEST_ENTRIES_MAX - a->count;

	out->texts[0] = a->texts;
	out->texts[1] = b->texts;
	out->size = a->size + b->size;
	out->count = a->count + b->count;
	out->entries = a->entries;
	if (b->count > 0 && fits) {
		out->entries = alloc_resize(a->entries, out->count * sizeof(*out->entries));
		memcpy(out->entries + a->count, b->entries, b->count * sizeof(*b->entries));
	}
	free(b->entries);
	if (w->has_failed) {
		*err = a->has_failed ? a->err : b->err;
		return false;
	}
	if (!fits || a->texts.used + b->texts.used > MANIFEST_TEXT_MAX)
		return too_many(err);
	return out->size <= MANIFEST_STREAM_MAX || too_large(err);
}

bool listing_read(struct listing *out, int root, const char *folder, struct err *err)
{
	struct work w = { .root = root, .folder = folder };
	bool done;

	*out = (struct listing){ 0 };
	for (size_t i = 0; i < LISTING_HANDS; i++)
		w.hands[i].work = &w;
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	ALLOC_GROW(w.folders, w.count);
	w.folders[w.count++] = "";
	work_on(&w.hands[0]);
	if (w.has_thread)
		pthread_join(w.second, NULL);
	done = gather(out, &w, err);
	pthread_cond_destroy(&w.changed);
	pthread_mutex_destroy(&w.lock);
	free(w.folders);
	return done;
}

void listing_release(struct listing *l)
{
	free(l->entries);
	for (size_t i = 0; i < LISTING_HANDS; i++)
		arena_release(&l->texts[i]);
	*l = (struct listing){ 0 };
}
