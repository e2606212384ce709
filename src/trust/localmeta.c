#include "trust/localmeta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"
#include "trust/trustset.h"

#define FLOOR_FILE     "clock-floor"
#define FLOOR_SIZE_MAX 32

static bool load_file(void *ctx, const char *file, size_t max, struct buf *out)
{
	SCOPED_TEXT char *path = path_join(ctx, file);
	struct err ignored;

	return path_read(out, path, max, &ignored);
}

static bool save_file(void *ctx, const char *file, struct span bytes, struct err *err)
{
	SCOPED_TEXT char *path = path_join(ctx, file);

	return newfile_write(path, 0644, bytes, err);
}

static bool remove_file(void *ctx, const char *file, struct err *err)
{
	SCOPED_TEXT char *path = path_join(ctx, file);

	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, errno, "remove %s", path);
	return path_sync_dir(ctx, err);
}

struct updater_store localmeta_store(const char *dir)
{
	return (struct updater_store){
		.load = load_file,
		.save = save_file,
		.remove = remove_file,
		.ctx = (void *)(uintptr_t)dir, /* only read: each callback makes paths of it */
	};
}

enum verdict localmeta_init(const char *dir, struct span root, struct err *err)
{
	SCOPED(trustset) struct trustset *set = trustset_new(0, TRUSTSET_STRICT);
	enum verdict verdict = trustset_load_root(set, root, err);
	struct updater_store store = localmeta_store(dir);

	if (verdict != VERDICT_OK)
		return verdict;
	if (!path_make_dirs(dir, 0755, err) || !store.save(store.ctx, "root.json", root, err))
		return VERDICT_NOT_STORED;
	return VERDICT_OK;
}

int64_t localmeta_floor(const char *dir)
{
	SCOPED_TEXT char *path = path_join(dir, FLOOR_FILE);
	SCOPED(buf) struct buf text = { 0 };
	struct err ignored;
	uint64_t floor = 0;

	if (!path_read(&text, path, FLOOR_SIZE_MAX, &ignored) ||
	    !text_u64(&floor, buf_text(&text), 0, INT64_MAX))
		return 0;
	return (int64_t)floor;
}

bool localmeta_set_floor(const char *dir, int64_t now_s, struct err *err)
{
	SCOPED_TEXT char *path = path_join(dir, FLOOR_FILE);
	SCOPED_TEXT char *text = alloc_printf("%" PRId64, now_s);

	return newfile_write(path, 0644, span_of_text(text), err);
}
