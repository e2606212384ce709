#include "nal/mounts.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "nal/mountcalls.h"
#include "nal/mountmatch.h"

static void entry_release(struct mounts_entry *entry)
{
	free(entry->source);
	free(entry->fstype);
	free(entry->root);
	free(entry->target);
	free(entry->addr);
	free(entry->user);
	locator_release(&entry->where);
}

void mounts_release(struct mounts *table)
{
	for (size_t i = 0; i < table->count; i++)
		entry_release(&table->entries[i]);
	free(table->entries);
	*table = (struct mounts){ 0 };
}

/* The value of a mount option, or NULL; the caller frees it. */
static char *option(const struct mountcalls *mount, struct libmnt_fs *fs, const char *name)
{
	char *value = NULL;
	size_t size = 0;

	if (mount->fs_get_option(fs, name, &value, &size) != 0 || value == NULL)
		return NULL;
	return alloc_copy(value, size);
}

static bool has_option(const struct mountcalls *mount, struct libmnt_fs *fs, const char *name)
{
	return mount->fs_get_option(fs, name, NULL, NULL) == 0;
}

static int64_t uid_option(const struct mountcalls *mount, struct libmnt_fs *fs, const char *name)
{
	SCOPED_TEXT char *text = option(mount, fs, name);
	uint64_t uid;

	return text != NULL && text_u64(&uid, text, 0, UINT32_MAX) ? (int64_t)uid : MOUNTS_NOBODY;
}

static char *or_empty(const char *text)
{
	return alloc_text(text != NULL ? text : "");
}

static void add(struct mounts *table, struct mounts_entry *entry)
{
	entry->names_place = mountmatch_source(&entry->where, entry);
	ALLOC_GROW(table->entries, table->count);
	table->entries[table->count++] = *entry;
}

static void add_fs(struct mounts *table, const struct mountcalls *mount, struct libmnt_fs *fs)
{
	const char *root = mount->fs_get_root(fs);
	struct mounts_entry entry = {
		.source = or_empty(mount->fs_get_source(fs)),
		.fstype = or_empty(mount->fs_get_fstype(fs)),
		.root = alloc_text(root != NULL ? root : "/"),
		.target = or_empty(mount->fs_get_target(fs)),
		.addr = option(mount, fs, "addr"),
		.user = option(mount, fs, "user"),
		.device = mount->fs_get_devno(fs),
		.id = mount->fs_get_id(fs),
		.parent = mount->fs_get_parent_id(fs),
		.fuse_uid = uid_option(mount, fs, "user_id"),
		.cruid = uid_option(mount, fs, "cruid"),
		.allows_other = has_option(mount, fs, "allow_other"),
	};

	add(table, &entry);
}

static bool add_all(struct mounts *table, const struct mountcalls *mount, struct libmnt_table *tab,
		    struct err *err)
{
	struct libmnt_iter *iter = mount->new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	bool fits = true;

	if (iter == NULL)
		return err_set(err, ERR_MEMORY, "mount table: no memory");
	while (fits && mount->table_next_fs(tab, iter, &fs) == 0) {
		fits = table->count < MOUNTS_MAX;
		if (fits)
			add_fs(table, mount, fs);
	}
	mount->free_iter(iter);
	return fits || err_set(err, ERR_LIMIT, "mount table: more than %d entries", MOUNTS_MAX);
}

static int refuse_line(struct libmnt_table *tab UNUSED, const char *file UNUSED, int line UNUSED)
{
	return 1; /* skip it: one odd line must not hide all mounts */
}

bool mounts_read(struct mounts *out, const char *path, struct err *err)
{
	struct mountcalls mount;
	struct libmnt_table *tab;
	bool done;
	int rc;

	*out = (struct mounts){ 0 };
	if (!mountcalls_load(&mount, err))
		return false;
	tab = mount.new_table();
	if (tab == NULL)
		return err_set(err, ERR_MEMORY, "mount table: no memory");
	mount.table_set_parser_errcb(tab, refuse_line);
	/* Without a path libmount joins the kernel's table with utab, which names users. */
	rc = path != NULL ? mount.table_parse_file(tab, path) : mount.table_parse_mtab(tab, NULL);
	if (rc < 0)
		done = err_sys(err, ERR_IO, -rc, "mount table %s", path != NULL ? path : "");
	else
		done = add_all(out, &mount, tab, err);
	mount.unref_table(tab);
	if (done)
		mountmatch_hide(out);
	else
		mounts_release(out);
	return done;
}

void mounts_add_gvfs(struct mounts *table, const char *folder, const char *entry, int64_t uid)
{
	SCOPED_TEXT char *source = mountmatch_gvfs_source(entry);
	struct mounts_entry mount;

	if (source == NULL)
		return;
	mount = (struct mounts_entry){
		.source = alloc_text(source),
		.fstype = alloc_text("fuse.gvfsd-fuse"),
		.root = alloc_text("/"),
		.target = alloc_printf("%s/%s", folder, entry),
		.fuse_uid = uid,
		.cruid = MOUNTS_NOBODY,
	};
	add(table, &mount);
}
