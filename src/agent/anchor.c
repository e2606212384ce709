#include "agent/anchor.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"
#include "trust/localmeta.h"
#include "trust/role.h"
#include "trust/trustset.h"

#define FOLDER    "trust"
#define SUFFIX    ".root.json"
#define MODE      0644
#define DIR_MODE  0755
#define NEWER_MAX 1024 /* roots followed at once */

/* N.root.json beneath a folder. */
static char *root_path(const char *dir, int64_t version)
{
	return alloc_printf("%s/%" PRId64 SUFFIX, dir, version);
}

/* The number in a root's name; 0: it is none. */
static int64_t version_of_name(const char *name)
{
	const char *dot = strchr(name, '.');
	char digits[20];
	uint64_t version;

	if (dot == NULL || strcmp(dot, SUFFIX) != 0 || (size_t)(dot - name) >= sizeof(digits))
		return 0;
	snprintf(digits, sizeof(digits), "%.*s", (int)(dot - name), name);
	return text_u64(&version, digits, 1, INT64_MAX) ? (int64_t)version : 0;
}

/* The greatest version below `limit` of which a file stands in `dir`; 0: none. */
static int64_t greatest_below(const char *dir, int64_t limit)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int64_t greatest = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		int64_t version = version_of_name(e->d_name);

		if (version < limit)
			greatest = MAX_OF(greatest, version);
	}
	if (d != NULL)
		closedir(d);
	return greatest;
}

static bool read_root(struct buf *out, const char *path)
{
	struct err ignored;

	buf_clear(out);
	return path_read(out, path, ROLE_ROOT_MAX, &ignored);
}

static int64_t version_of(struct span root)
{
	json_auto_t *doc = NULL;
	struct err ignored;

	return jsondoc_read(&doc, root, &ignored)
		       ? jsondoc_int(json_object_get(doc, "signed"), "version", 0)
		       : 0;
}

static bool load_into(struct trustset **set_out, struct span root)
{
	SCOPED(trustset) struct trustset *set = trustset_new(0, TRUSTSET_STRICT);
	struct err ignored;

	if (trustset_load_root(set, root, &ignored) != VERDICT_OK)
		return false;
	*set_out = set;
	set = NULL;
	return true;
}

/* What this process may not write stands there soon: a decider comes by at every cycle. */
static void keep(const char *dir, int64_t version, struct span root)
{
	SCOPED_TEXT char *path = root_path(dir, version);
	struct err err;

	if (!path_make_dirs(dir, DIR_MODE, &err) || !newfile_write(path, MODE, root, &err))
		log_debug("root %" PRId64 " is not kept: %s", version, err.why);
}

/* The newest in STATE/trust that is whole. */
static bool load_own(struct trustset **set_out, struct buf *out, const char *trust)
{
	int64_t version = INT64_MAX;

	while ((version = greatest_below(trust, version)) > 0) {
		SCOPED_TEXT char *path = root_path(trust, version);

		if (read_root(out, path) && load_into(set_out, buf_span(out)))
			return true;
		log_warn("%s is damaged", path);
	}
	return false;
}

static bool adopt(struct trustset **set_out, struct buf *out, const char *trust,
		  const char *metadata)
{
	SCOPED_TEXT char *path = path_join(metadata, "root.json");

	if (!read_root(out, path) || !load_into(set_out, buf_span(out)))
		return false;
	keep(trust, trustset_root(*set_out)->version, buf_span(out));
	return true;
}

/* What the worker has kept since, as far as each vouches for the next. */
static void follow(struct trustset *set, struct buf *out, const char *trust, const char *metadata)
{
	SCOPED_TEXT char *roots = path_join(metadata, "roots");
	SCOPED(buf) struct buf bytes = { 0 };

	for (int i = 0; i < NEWER_MAX; i++) {
		SCOPED_TEXT char *path = root_path(roots, trustset_root(set)->version + 1);
		bool revoked;
		struct err err;

		if (!read_root(&bytes, path))
			return;
		if (trustset_update_root(set, buf_span(&bytes), &revoked, &err) != VERDICT_OK) {
			log_warn("%s: %s", path, err.why);
			return;
		}
		buf_clear(out);
		buf_put_span(out, buf_span(&bytes));
		keep(trust, trustset_root(set)->version, buf_span(out));
	}
}

bool anchor_read(struct buf *out, const struct state *st)
{
	SCOPED_TEXT char *trust = state_path(st, FOLDER);
	SCOPED_TEXT char *metadata = state_path(st, "metadata");
	SCOPED(trustset) struct trustset *set = NULL;

	if (!load_own(&set, out, trust) &&
	    (greatest_below(trust, INT64_MAX) > 0 || !adopt(&set, out, trust, metadata)))
		return false;
	follow(set, out, trust, metadata);
	return true;
}

bool anchor_has(const struct state *st, struct span root)
{
	SCOPED_TEXT char *trust = state_path(st, FOLDER);
	SCOPED_TEXT char *path = root_path(trust, version_of(root));
	SCOPED(buf) struct buf bytes = { 0 };

	return read_root(&bytes, path) && span_equal(buf_span(&bytes), root);
}

bool anchor_begin(const struct state *st, struct span root, struct err *err)
{
	SCOPED_TEXT char *trust = state_path(st, FOLDER);
	SCOPED_TEXT char *path = root_path(trust, version_of(root));

	return path_remove_tree(trust, err) && path_make_dirs(trust, DIR_MODE, err) &&
	       newfile_write(path, MODE, root, err);
}

bool anchor_mend(const struct state *st, struct err *err)
{
	SCOPED_TEXT char *metadata = state_path(st, "metadata");
	SCOPED_TEXT char *path = path_join(metadata, "root.json");
	SCOPED(buf) struct buf newest = { 0 }, there = { 0 };

	if (!anchor_read(&newest, st) ||
	    (read_root(&there, path) && span_equal(buf_span(&there), buf_span(&newest))))
		return true;
	log_warn("the worker's root is not the newest that is trusted: begun again from that");
	return path_make_dirs(metadata, DIR_MODE, err) &&
	       newfile_write(path, MODE, buf_span(&newest), err);
}

/* ---- the worker's store ---- */

/* A root is kept under its number before it counts: a kill in between leaves no gap in the chain.
 */
static bool keep_on_the_way(const char *metadata, struct span root, struct err *err)
{
	SCOPED_TEXT char *roots = path_join(metadata, "roots");
	SCOPED_TEXT char *path = root_path(roots, version_of(root));

	return path_make_dirs(roots, DIR_MODE, err) && newfile_write(path, MODE, root, err);
}

static bool save_file(void *ctx, const char *file, struct span bytes, struct err *err)
{
	const struct updater_store plain = localmeta_store(ctx);

	return (strcmp(file, "root.json") != 0 || keep_on_the_way(ctx, bytes, err)) &&
	       plain.save(plain.ctx, file, bytes, err);
}

struct updater_store anchor_store(const char *metadata)
{
	struct updater_store store = localmeta_store(metadata);

	store.save = save_file;
	return store;
}
