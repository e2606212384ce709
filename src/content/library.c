#include "content/library.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "content/idmap.h"
#include "content/pack.h"

#define FOLDER_MODE  0755
#define INDEX_MODE   0644
#define LOCK_WAIT_MS 2000
#define TEMP_PREFIX  ".new-"

bool library_open(struct library *lib, const char *root, const char *package, struct err *err)
{
	SCOPED_TEXT char *lock = NULL;

	*lib = (struct library)LIBRARY_EMPTY;
	lib->folder = path_join(root, package);
	lib->packs = path_join(lib->folder, "packs");
	lib->indexes = path_join(lib->folder, "index");
	lib->imprint = path_join(lib->folder, "imprint");
	lock = path_join(lib->folder, ".lock");
	return path_make_dirs(lib->packs, FOLDER_MODE, err) &&
	       path_make_dirs(lib->indexes, FOLDER_MODE, err) &&
	       path_lock(&lib->lock, lock, LOCK_WAIT_MS, err);
}

void library_close(struct library *lib)
{
	path_close_fd(&lib->lock);
	free(lib->folder);
	free(lib->packs);
	free(lib->indexes);
	free(lib->imprint);
	*lib = (struct library)LIBRARY_EMPTY;
}

bool library_read_index(struct index **out, struct buf *bytes, const struct library *lib,
			const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join(lib->indexes, name);
	struct digest expected, got;
	uint32_t version;

	if (!index_parse_name(&version, &expected, name))
		return err_set(err, ERR_FORMAT, "%s is no name of an index", name);
	if (!path_read(bytes, path, INDEX_BYTES_MAX, err))
		return false;
	digest_of(&got, buf_span(bytes));
	if (!digest_equal(&got, &expected))
		return err_set(err, ERR_FORMAT, "index %s has other bytes than its name says",
			       name);
	return index_read(out, buf_span(bytes), err);
}

bool library_has_pack(const struct library *lib, const struct index_pack *pack)
{
	char name[PACK_NAME_MAX];
	SCOPED_TEXT char *path = NULL;
	struct stat st;

	pack_print_name(name, &pack->digest);
	path = path_join(lib->packs, name);
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == pack->size;
}

/* The packs that some index names. */
struct named {
	struct digest *digests;
	uint32_t count;
	struct idmap by_digest;
	bool is_complete; /* every index was read */
};

static void named_release(struct named *n)
{
	free(n->digests);
	idmap_release(&n->by_digest);
}

static const struct digest *named_at(uint32_t number, const void *ctx)
{
	const struct named *n = ctx;

	return &n->digests[number];
}

static void add_named(struct named *n, const struct index *idx)
{
	for (uint32_t i = 0; i < index_pack_count(idx); i++) {
		ALLOC_GROW(n->digests, n->count);
		n->digests[n->count] = index_pack_at(idx, i)->digest;
		if (!idmap_put(&n->by_digest, n->count++, named_at, n))
			n->is_complete = false;
	}
}

/* What is done with each name in a folder; false ends the walk. */
typedef bool (*entry_fn)(const char *folder, const char *name, void *ctx, struct err *err);

static bool walk(const char *folder, entry_fn each, void *ctx, struct err *err)
{
	struct dirent **names;
	int count = scandir(folder, &names, NULL, alphasort);
	bool done = true;

	if (count < 0)
		return err_sys(err, ERR_IO, errno, "folder %s", folder);
	for (int i = 0; i < count; i++) {
		done = done && each(folder, names[i]->d_name, ctx, err);
		free(names[i]);
	}
	free(names);
	return done;
}

static bool remove_file(const char *folder, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join(folder, name);

	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "remove %s", path);
	return true;
}

struct tidying {
	const struct library *lib;
	struct catalogue *cat;
	struct named named;
};

static bool has_pack(const struct index_pack *pack, void *ctx)
{
	const struct tidying *t = ctx;

	return library_has_pack(t->lib, pack);
}

static bool visit_index(const char *folder, const char *name, void *ctx, struct err *err)
{
	struct tidying *t = ctx;
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err unread;

	if (strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0)
		return remove_file(folder, name, err);
	if (name[0] == '.')
		return true;
	if (!library_read_index(&idx, &bytes, t->lib, name, &unread)) {
		/* It may name packs that nothing else does. */
		t->named.is_complete = false;
		return true;
	}
	add_named(&t->named, idx);
	if (t->cat != NULL)
		catalogue_learn(t->cat, idx, has_pack, t);
	return true;
}

static bool visit_pack(const char *folder, const char *name, void *ctx, struct err *err)
{
	const struct tidying *t = ctx;
	struct digest digest;

	if (strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0)
		return remove_file(folder, name, err);
	if (!t->named.is_complete || !pack_parse_name(&digest, name) ||
	    idmap_find(&t->named.by_digest, &digest, named_at, &t->named) != IDMAP_NONE)
		return true;
	return remove_file(folder, name, err);
}

bool library_tidy(const struct library *lib, struct catalogue *cat, struct err *err)
{
	struct tidying t = { .lib = lib, .cat = cat, .named = { .is_complete = true } };
	bool done = walk(lib->indexes, visit_index, &t, err) &&
		    walk(lib->packs, visit_pack, &t, err);

	named_release(&t.named);
	return done;
}

bool library_add_index(char *name_out, const struct library *lib, uint32_t version,
		       struct span bytes, struct err *err)
{
	SCOPED_TEXT char *path = NULL;

	index_print_name(name_out, version, bytes);
	path = path_join(lib->indexes, name_out);
	return newfile_write(path, INDEX_MODE, bytes, err);
}
