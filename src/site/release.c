#include "site/release.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"
#include "content/manifest.h"
#include "site/package.h"
#include "site/system.h"

#define LOCK_WAIT_MS 600000 /* another version is being made; that may take its time */

void release_result_release(struct release_result *r)
{
	free(r->skipped_text);
	*r = (struct release_result){ 0 };
}

char *release_manifest_path(const struct site *site, const char *id, int64_t version)
{
	return alloc_printf("%s/library/%s/manifest/%" PRId64, site->dir, id, version);
}

static bool check_name(const char *name, struct err *err)
{
	char safe[4 * RELEASE_NAME_MAX + 1];

	text_escape_line(safe, sizeof(safe), name);
	if (!text_is_blank(name) && strlen(name) <= RELEASE_NAME_MAX && strcmp(safe, name) == 0)
		return true;
	return err_set(err, ERR_USAGE,
		       "package name \"%s\": 1 to %d printable characters are taken, "
		       "and not white space alone",
		       name, RELEASE_NAME_MAX);
}

/* The folder by its real name; the caller frees it. */
static bool resolve_source(char **out, struct site *site, const char *folder, struct err *err)
{
	SCOPED_TEXT char *real = realpath(folder, NULL);
	struct stat st;

	if (real == NULL)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "source %s",
			       folder);
	if (stat(real, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_SOURCE, "source %s is not a folder", folder);
	if (!system_check_source(site, real, err))
		return false;
	*out = real;
	real = NULL;
	return true;
}

static bool index_is_known(bool *out, struct site *site, const char *id, const char *name,
			   struct err *err)
{
	int64_t known;

	if (!db_number(&known, site->db, STMT_PACKAGE_INDEX_IS_KNOWN,
		       DB_ARGS(db_text(id), db_text(name)), 0, err))
		return false;
	*out = known != 0;
	return true;
}

bool release_drop_indexes(struct site *site, const char *id, struct err *err)
{
	SCOPED_TEXT char *folder = alloc_printf("%s/library/%s/index", site->dir, id);
	DIR *dir = opendir(folder);
	bool done = true;
	struct dirent *entry;

	while (done && dir != NULL && (entry = readdir(dir)) != NULL) {
		bool is_known = true;

		if (entry->d_name[0] == '.')
			continue;
		done = index_is_known(&is_known, site, id, entry->d_name, err);
		if (done && !is_known)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
	return done;
}

static bool write_manifest(struct site *site, const char *id, int64_t version, struct span bytes,
			   struct err *err)
{
	SCOPED_TEXT char *path = release_manifest_path(site, id, version);
	SCOPED_TEXT char *folder = alloc_printf("%s/library/%s/manifest", site->dir, id);

	return path_make_dirs(folder, 0755, err) && newfile_write(path, 0644, bytes, err);
}

/* What the database keeps of a packer's result. */
static struct package_release release_of(const struct packer_result *made, int64_t version)
{
	char identity[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];

	digest_print(identity, &made->identity);
	digest_print(manifest, &made->manifest_digest);
	return (struct package_release){
		.version = version,
		.identity = alloc_text(identity),
		.manifest = alloc_text(manifest),
		.index_name = alloc_text(made->index_name),
		.manifest_size = (int64_t)made->manifest.size,
		.index_size = (int64_t)made->index_size,
		.files = made->files,
		.bytes = (int64_t)made->bytes,
		.bytes_new = (int64_t)made->new_bytes,
	};
}

static void report(struct release_result *out, const char *id,
		   const struct package_release *release)
{
	snprintf(out->id, sizeof(out->id), "%s", id);
	out->version = release->version;
	out->files = release->files;
	out->bytes = release->bytes;
	out->bytes_new = release->bytes_new;
}

static bool pack(struct packer_result *made, struct site *site, const char *id, int64_t version,
		 const char *source, const struct digest *latest, const struct release_spec *spec,
		 struct err *err)
{
	SCOPED_TEXT char *library = site_library(site);
	SCOPED_TEXT char *manifest = version > 1 ? release_manifest_path(site, id, version - 1)
						 : NULL;
	const struct packer_options options = {
		.library = library,
		.package = id,
		.version = (uint32_t)version,
		.source = source,
		.source_flags = spec->source_flags,
		.latest = latest,
		.latest_manifest = manifest,
		.reads_all = spec->reads_all,
		.progress = spec->progress,
		.progress_ctx = spec->progress_ctx,
	};

	return release_drop_indexes(site, id, err) && packer_run(made, &options, err);
}

static void take_skipped(struct release_result *out, const struct packer_result *made)
{
	out->links_skipped = made->links_skipped;
	if (made->links_skipped > 0)
		out->skipped_text = alloc_text(made->skipped_text);
}

/* The new package and its version 1 become visible in one step. */
static bool record_package(struct release_result *out, struct site *site, const char *expected_id,
			   const char *name, const char *source, const struct packer_result *made,
			   struct err *err)
{
	SCOPED(package_release) struct package_release release = release_of(made, 1);
	SITE_UNDO struct site *undo = site;
	char id[SITE_ID_SIZE];

	if (!site_begin(site, err) || !site_new_package_id(id, site, err))
		return false;
	assert(strcmp(id, expected_id) == 0 && "the package lock keeps others from taking it");
	report(out, id, &release);
	return db_run(site->db, STMT_PACKAGE_ADD,
		      DB_ARGS(db_text(id), db_text(name), db_text(source), db_int(site_now(site))),
		      err) &&
	       package_add_release(site, id, &release, err) && site_commit_policy(site, err);
}

static bool create(struct release_result *out, struct site *site, const char *id,
		   const char *source, const struct release_spec *spec, struct err *err)
{
	SCOPED(packer_result) struct packer_result made = { 0 };

	if (!pack(&made, site, id, 1, source, NULL, spec, err) ||
	    !write_manifest(site, id, 1, buf_span(&made.manifest), err))
		return false;
	take_skipped(out, &made);
	return record_package(out, site, id, spec->name, source, &made, err);
}

bool release_create(struct release_result *out, struct site *site, const struct release_spec *spec,
		    struct err *err)
{
	SCOPED_FD int lock = -1;
	SCOPED_TEXT char *source = NULL;
	SCOPED_TEXT char *folder = NULL;
	char id[SITE_ID_SIZE];
	struct err ignored;

	*out = (struct release_result){ 0 };
	if (!check_name(spec->name, err) || !resolve_source(&source, site, spec->source, err) ||
	    !site_lock(&lock, site, "package", LOCK_WAIT_MS, err) ||
	    !site_next_package_id(id, site, err))
		return false;
	if (create(out, site, id, source, spec, err))
		return true;
	/* The id was not used: the next package gets it, with a folder of its own. */
	folder = alloc_printf("%s/library/%s", site->dir, id);
	path_remove_tree(folder, &ignored);
	release_result_release(out);
	return err_what(err, "making package \"%s\" from %s", spec->name, spec->source);
}

static bool record_version(struct release_result *out, struct site *site, const char *id,
			   const char *source, const struct package_release *release,
			   struct err *err)
{
	SITE_UNDO struct site *undo = site;

	report(out, id, release);
	return site_begin(site, err) &&
	       (source == NULL || db_run(site->db, STMT_PACKAGE_SET_SOURCE,
					 DB_ARGS(db_text(id), db_text(source)), err)) &&
	       package_add_release(site, id, release, err) && site_commit_policy(site, err);
}

static bool update(struct release_result *out, struct site *site,
		   const struct package_info *package, const char *source,
		   const struct release_spec *spec, struct err *err)
{
	SCOPED(packer_result) struct packer_result made = { 0 };
	SCOPED(package_release) struct package_release latest = { 0 };
	SCOPED(package_release) struct package_release next = { 0 };
	struct digest identity;

	if (!package_load_release(&latest, site, package->id, package->latest, err))
		return false;
	if (!digest_parse(&identity, latest.identity))
		return err_set(err, ERR_DB, "version %" PRId64 " of %s has no identity",
			       latest.version, package->id);
	if (!pack(&made, site, package->id, package->latest + 1, source, &identity, spec, err))
		return false;
	take_skipped(out, &made);
	if (made.outcome == PACKER_UNCHANGED) {
		report(out, package->id, &latest);
		out->bytes_new = 0;
		out->is_unchanged = true;
		return true;
	}
	next = release_of(&made, package->latest + 1);
	return write_manifest(site, package->id, next.version, buf_span(&made.manifest), err) &&
	       record_version(out, site, package->id, source, &next, err);
}

bool release_update(struct release_result *out, struct site *site, const char *id,
		    const struct release_spec *spec, struct err *err)
{
	SCOPED_FD int lock = -1;
	SCOPED_TEXT char *source = NULL;
	SCOPED(package_info) struct package_info package = { 0 };

	*out = (struct release_result){ 0 };
	return site_lock(&lock, site, "package", LOCK_WAIT_MS, err) &&
	       package_load(&package, site, id, err) &&
	       resolve_source(&source, site, spec->source != NULL ? spec->source : package.source,
			      err) &&
	       update(out, site, &package, source, spec, err);
}

static bool copy_manifest(struct site *site, const char *id, int64_t from, int64_t to,
			  struct err *err)
{
	SCOPED_TEXT char *path = release_manifest_path(site, id, from);
	SCOPED(buf) struct buf bytes = { 0 };

	return path_read(&bytes, path, MANIFEST_BYTES_MAX, err) &&
	       write_manifest(site, id, to, buf_span(&bytes), err);
}

static bool roll_back(struct release_result *out, struct site *site, const char *id,
		      struct package_release *old, int64_t version, struct err *err)
{
	SCOPED_TEXT char *library = site_library(site);
	struct packer_repeated made;

	if (!release_drop_indexes(site, id, err) ||
	    !packer_repeat(&made, library, id, (uint32_t)version, old->index_name, err) ||
	    !copy_manifest(site, id, old->version, version, err))
		return false;
	free(old->index_name);
	old->index_name = alloc_text(made.index_name);
	old->index_size = (int64_t)made.index_size;
	old->version = version;
	old->bytes_new = 0;
	return record_version(out, site, id, NULL, old, err);
}

bool release_rollback(struct release_result *out, struct site *site, const char *id, int64_t to,
		      struct err *err)
{
	SCOPED_FD int lock = -1;
	SCOPED(package_info) struct package_info package = { 0 };
	SCOPED(package_release) struct package_release old = { 0 };
	SCOPED(package_release) struct package_release latest = { 0 };

	*out = (struct release_result){ 0 };
	if (!site_lock(&lock, site, "package", LOCK_WAIT_MS, err) ||
	    !package_load(&package, site, id, err) ||
	    !package_load_release(&old, site, id, to, err) ||
	    !package_load_release(&latest, site, id, package.latest, err))
		return false;
	if (strcmp(old.identity, latest.identity) != 0)
		return roll_back(out, site, id, &old, package.latest + 1, err);
	report(out, id, &latest);
	out->bytes_new = 0;
	out->is_unchanged = true;
	return true;
}
