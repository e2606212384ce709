#include "site/dpexport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "nal/marker.h"
#include "site/system.h"
#include "site/wanted.h"

#define FOLDER_MODE 0755
#define FILE_MODE   0644
#define PIECE       (1u << 20) /* bytes at once */

struct export
{
	struct site *site;
	const char *folder;
	int64_t objects;
	int64_t copied;
	int64_t bytes;
};

static bool stands_there(const char *path, uint64_t size)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

static bool copy_piece(int to, int from, uint8_t *piece, size_t size, struct err *err)
{
	ssize_t got = path_read_fd(from, piece, size);

	if (got != (ssize_t)size)
		return err_sys(err, ERR_IO, got < 0 ? errno : EIO, "the library");
	return path_write_fd(to, span_of(piece, size), err);
}

static bool copy_bytes(int to, int from, uint64_t size, struct err *err)
{
	uint8_t *piece = alloc_zeroed(PIECE, 1);
	bool done = true;

	for (uint64_t at = 0; done && at < size; at += PIECE)
		done = copy_piece(to, from, piece, (size_t)MIN_OF(size - at, (uint64_t)PIECE), err);
	free(piece);
	return done;
}

static bool copy_file(const char *to, const char *from, uint64_t size, struct err *err)
{
	SCOPED(newfile) struct newfile file = NEWFILE_EMPTY;
	SCOPED_FD int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", from);
	return newfile_begin(&file, to, FILE_MODE, err) && copy_bytes(file.fd, fd, size, err) &&
	       newfile_commit(&file, err);
}

static bool make_folder_of(const char *path, struct err *err)
{
	SCOPED_TEXT char *folder = alloc_text(path);

	*strrchr(folder, '/') = '\0';
	return path_make_dirs(folder, FOLDER_MODE, err);
}

static bool export_object(void *ctx, const char *name, const struct index_object *object,
			  struct err *err)
{
	struct export *e = ctx;
	SCOPED_TEXT char *library = site_library(e->site);
	SCOPED_TEXT char *from = path_join(library, name);
	SCOPED_TEXT char *to = path_join(e->folder, name);

	e->objects++;
	if (stands_there(to, object->size))
		return true;
	if (!make_folder_of(to, err) || !copy_file(to, from, object->size, err))
		return false;
	e->copied++;
	e->bytes += (int64_t)object->size;
	return true;
}

/* The folder of another system would no longer be that system's. */
static bool check_marker(const char *path, const struct system *dp, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct marker there;

	if (!path_exists(path))
		return true;
	if (!path_read(&bytes, path, MARKER_BYTES_MAX, err) ||
	    !marker_parse(&there, buf_span(&bytes), err))
		return false;
	return marker_is(&there, dp->uuid) ||
	       err_set(err, ERR_REFUSED, "the folder is that of %s \"%s\" of site %s",
		       marker_kind_name(there.kind), there.name, there.site);
}

/* Last, so that a folder with a marker is one that is whole. */
static bool write_marker(const char *path, struct site *site, const struct system *dp,
			 struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };
	struct marker marker = { .kind = MARKER_DP };

	snprintf(marker.site, sizeof(marker.site), "%s", site->code);
	snprintf(marker.uuid, sizeof(marker.uuid), "%s", dp->uuid);
	snprintf(marker.name, sizeof(marker.name), "%s", dp->name);
	marker_write(&text, &marker);
	return newfile_write(path, FILE_MODE, buf_span(&text), err);
}

static bool export_all(struct export *e, const struct system *dp, struct err *err)
{
	SCOPED(wanted_list) struct wanted_list wanted = { 0 };

	if (!wanted_load(&wanted, e->site, dp->id, WANTED_DUE, err))
		return false;
	for (size_t i = 0; i < wanted.count; i++)
		if (!wanted_each_object(e->site, &wanted.items[i], export_object, e, err))
			return false;
	return true;
}

static json_t *report(const struct export *e, const struct system *dp)
{
	json_t *doc = json_object();

	jsondoc_set_text(doc, "dp", dp->name);
	jsondoc_set_text(doc, "folder", e->folder);
	jsondoc_set_int(doc, "objects", e->objects);
	jsondoc_set_int(doc, "copied", e->copied);
	jsondoc_set_int(doc, "bytes", e->bytes);
	return doc;
}

bool dpexport_run(json_t **out, struct site *site, const char *dp, const char *folder,
		  enum dpexport_scope scope, struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };
	SCOPED_TEXT char *marker = path_join(folder, marker_file(MARKER_DP));
	struct export e = { .site = site, .folder = folder };
	const struct system *system;

	if (!system_load(&list, site, MARKER_DP, SYSTEM_LIVE, err))
		return false;
	system = system_find(&list, dp);
	if (system == NULL)
		return err_set(err, ERR_NOT_FOUND, "there is no DP \"%s\"", dp);
	if (!path_make_dirs(folder, FOLDER_MODE, err) || !check_marker(marker, system, err) ||
	    (scope == DPEXPORT_ALL && !export_all(&e, system, err)) ||
	    !write_marker(marker, site, system, err))
		return false;
	*out = report(&e, system);
	return true;
}
