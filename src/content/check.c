#include "content/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/beneath.h"
#include "common/digest.h"
#include "common/path.h"
#include "content/chunker.h"
#include "content/tree.h"

#define COMPARE_PIECE (256u << 10)

static const char *const kind_names[] = {
	[CHECK_FINE] = "fine",       [CHECK_MISSING] = "missing", [CHECK_TYPE] = "type",
	[CHECK_CHANGED] = "changed", [CHECK_SUSPECT] = "suspect", [CHECK_UNREADABLE] = "unreadable",
	[CHECK_MODE] = "mode",       [CHECK_TARGET] = "target",   [CHECK_EXTRA] = "extra",
};
static_assert(COUNT_OF(kind_names) == CHECK_KIND_COUNT_, "every finding has a name");

/* One check under way. */
struct work {
	const struct manifest *manifest;
	struct tree tree;
	struct tree_files files;
	struct digest_ctx *hash;
	uint8_t *bytes; /* of one chunk */
	uint8_t *other; /* of a piece to compare with */
	uint8_t *kinds; /* enum check_kind for each entry */
	const atomic_bool *cancel;
	struct check *out;
};

const char *check_kind_name(enum check_kind kind)
{
	return kind_names[kind];
}

void check_release(struct check *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->items[i].path);
	free(c->items);
	*c = (struct check){ 0 };
}

static void add_item(struct check *c, enum check_kind kind, const char *path)
{
	c->total++;
	if (c->count == CHECK_ITEMS_MAX)
		return;
	ALLOC_GROW(c->items, c->count);
	c->items[c->count++] = (struct check_item){ kind, alloc_text(path) };
}

static enum check_kind compare_target(int fd, const struct manifest_entry *e)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(fd, "", target, sizeof(target));

	if (size < 0)
		return CHECK_UNREADABLE;
	return span_equal_text(span_of(target, (size_t)size), e->target) ? CHECK_FINE
									 : CHECK_TARGET;
}

static mode_t type_bits(const struct manifest_entry *e)
{
	static const mode_t bits[] = {
		[MANIFEST_DIR] = S_IFDIR,
		[MANIFEST_FILE] = S_IFREG,
		[MANIFEST_LINK] = S_IFLNK,
	};

	return bits[e->type];
}

/* What can be told without reading the file. */
static enum check_kind look_at(const struct tree *t, const struct manifest_entry *e)
{
	SCOPED_FD int fd = beneath_open(t->fd, e->path, O_PATH, 0);
	struct stat st;

	if (fd < 0)
		return errno == EACCES ? CHECK_UNREADABLE : CHECK_MISSING;
	if (fstat(fd, &st) != 0)
		return CHECK_UNREADABLE;
	if ((st.st_mode & S_IFMT) != type_bits(e))
		return CHECK_TYPE;
	if (e->type == MANIFEST_LINK)
		return compare_target(fd, e);
	if (e->type == MANIFEST_FILE && (uint64_t)st.st_size != e->size)
		return CHECK_CHANGED;
	return (st.st_mode & 07777) == e->mode || (st.st_mode & 07777) == tree_kept_mode(e->mode)
		       ? CHECK_FINE
		       : CHECK_MODE;
}

static bool has_its_size(enum check_kind kind)
{
	return kind == CHECK_FINE || kind == CHECK_MODE || kind == CHECK_SUSPECT;
}

/* Content outweighs a mode; a file that is known to differ stays that. */
static void mark(struct work *w, uint32_t entry, enum check_kind kind)
{
	if (has_its_size(w->kinds[entry]))
		w->kinds[entry] = (uint8_t)kind;
}

static bool chunk_is_right(struct work *w, const struct manifest_chunk *c)
{
	struct digest found;

	if (!tree_read(w->bytes, &w->files, c->offset, c->size))
		return false;
	w->out->bytes += c->size;
	digest_update(w->hash, span_of(w->bytes, c->size));
	digest_finish(w->hash, &found);
	return digest_equal(&found, &c->id);
}

static bool is_unreadable(const struct work *w, uint32_t entry)
{
	const char *path = manifest_entry_at(w->manifest, entry)->path;
	SCOPED_FD int fd = beneath_open(w->tree.fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	return fd < 0 && errno == EACCES;
}

/* Blame the only file of a wrong chunk, or all of several. */
static void blame(struct work *w, const struct manifest_chunk *c)
{
	struct manifest_piece piece;

	for (struct manifest_piece_iter it = manifest_pieces(w->manifest, c->offset, c->size);
	     manifest_piece_next(&it, &piece);) {
		if (is_unreadable(w, piece.entry))
			mark(w, piece.entry, CHECK_UNREADABLE);
		else
			mark(w, piece.entry, piece.size < c->size ? CHECK_SUSPECT : CHECK_CHANGED);
	}
}

static bool check_cancelled(const struct work *w, struct err *err)
{
	if (w->cancel == NULL || !atomic_load(w->cancel))
		return false;
	err_set(err, ERR_INTERRUPTED, "the check was stopped");
	return true;
}

static bool check_chunks(struct work *w, struct err *err)
{
	uint32_t count = manifest_chunk_count(w->manifest);

	for (uint32_t n = 0; n < count; n++) {
		const struct manifest_chunk *c = manifest_chunk_at(w->manifest, n);

		if (check_cancelled(w, err))
			return false;
		if (!chunk_is_right(w, c))
			blame(w, c);
	}
	return true;
}

static bool files_are_equal(struct work *w, uint32_t a, uint32_t b, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += COMPARE_PIECE) {
		uint64_t piece = MIN_OF((uint64_t)COMPARE_PIECE, size - at);

		if (!tree_read_file(w->bytes, &w->files, a, at, piece) ||
		    !tree_read_file(w->other, &w->files, b, at, piece) ||
		    memcmp(w->bytes, w->other, piece) != 0)
			return false;
	}
	w->out->bytes += size;
	return true;
}

/* A file that is the same as an earlier one has no chunks: it is right if that one is. */
static void check_same(struct work *w, uint32_t number)
{
	const struct manifest_entry *e = manifest_entry_at(w->manifest, number);

	if (e->same_as == MANIFEST_NOT_SAME || !has_its_size(w->kinds[number]) ||
	    files_are_equal(w, number, e->same_as, e->size))
		return;
	mark(w, number,
	     w->kinds[e->same_as] == CHECK_FINE || w->kinds[e->same_as] == CHECK_MODE
		     ? CHECK_CHANGED
		     : CHECK_SUSPECT);
}

static bool note_extra(void *ctx, int folder_fd UNUSED, const char *name UNUSED, const char *path,
		       const struct stat *st UNUSED, struct err *err UNUSED)
{
	struct work *w = ctx;

	if (manifest_find(w->manifest, path) == NULL)
		add_item(w->out, CHECK_EXTRA, path);
	return true;
}

static bool check_entries(struct work *w, struct err *err)
{
	uint32_t count = manifest_entry_count(w->manifest);

	for (uint32_t n = 0; n < count; n++)
		w->kinds[n] = (uint8_t)look_at(&w->tree, manifest_entry_at(w->manifest, n));
	if (!check_chunks(w, err))
		return false;
	for (uint32_t n = 0; n < count; n++) {
		if (check_cancelled(w, err))
			return false;
		check_same(w, n);
		if (w->kinds[n] != CHECK_FINE)
			add_item(w->out, w->kinds[n], manifest_entry_at(w->manifest, n)->path);
	}
	return tree_walk(&w->tree, note_extra, w, err);
}

bool check_tree(struct check *out, const char *path, const struct manifest *manifest,
		const atomic_bool *cancel, struct err *err)
{
	struct work w = { .manifest = manifest, .cancel = cancel, .out = out };
	bool done;

	if (!tree_open(&w.tree, path, manifest, err))
		return false;
	tree_files_init(&w.files, &w.tree);
	w.hash = digest_new();
	w.bytes = alloc_zeroed(1, MAX_OF(CHUNKER_MAX, COMPARE_PIECE));
	w.other = alloc_zeroed(1, COMPARE_PIECE);
	w.kinds = alloc_zeroed(MAX_OF(manifest_entry_count(manifest), 1), 1);
	done = check_entries(&w, err);

	free(w.kinds);
	free(w.other);
	free(w.bytes);
	digest_free(w.hash);
	tree_files_release(&w.files);
	tree_close(&w.tree);
	return done;
}
