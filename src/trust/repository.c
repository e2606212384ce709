#include "trust/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

#define FOLDER_DEPTH_MAX 4 /* targets/manifest/<id>/file */

struct repository {
	char *published;
	char *metadata;
	char *targets;
	char *keys;
	struct publication *pub;
	struct authority_signers signers;
	bool unflushed; /* target files were written since the last flush */
	bool failed;    /* a commit failed: what stands on disk has to be read again */
};

static struct repository *repository_new(const struct repository_folders *where)
{
	struct repository *repo = alloc_zeroed(1, sizeof(*repo));

	repo->published = alloc_text(where->published);
	repo->metadata = path_join(where->published, "metadata");
	repo->targets = path_join(where->published, "targets");
	repo->keys = alloc_text(where->keys);
	repo->pub = publication_new();
	return repo;
}

void repository_close(struct repository *repo)
{
	if (repo == NULL)
		return;
	for (size_t i = 0; i < repo->signers.count; i++)
		signer_free(repo->signers.items[i]);
	free(repo->signers.items);
	publication_free(repo->pub);
	free(repo->published);
	free(repo->metadata);
	free(repo->targets);
	free(repo->keys);
	free(repo);
}

/* ---- keys ---- */

/* "ROLE.key" or "ROLE-ANYTHING.key". */
static bool is_role_key_name(const char *name)
{
	size_t size = strlen(name), stem = strcspn(name, "-.");

	if (size < 4 || strcmp(name + size - 4, ".key") != 0)
		return false;
	for (size_t role = 0; role < SITEROLE_COUNT_; role++) {
		const char *known = siterole_rule((enum siterole)role)->name;

		if (strlen(known) == stem && memcmp(known, name, stem) == 0)
			return true;
	}
	return false;
}

static bool load_signer(struct repository *repo, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join(repo->keys, name);
	struct signer *signer;

	if (!signer_load(&signer, path, err))
		return false;
	ALLOC_GROW(repo->signers.items, repo->signers.count);
	repo->signers.items[repo->signers.count++] = signer;
	return true;
}

/* No folder is no fault: all keys may be elsewhere. */
static bool load_signers(struct repository *repo, struct err *err)
{
	DIR *folder = opendir(repo->keys);
	bool done = true;
	struct dirent *entry;

	if (folder == NULL)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "folder %s", repo->keys);
	while (done && (entry = readdir(folder)) != NULL)
		if (is_role_key_name(entry->d_name))
			done = load_signer(repo, entry->d_name, err);
	closedir(folder);
	return done;
}

static bool make_key(struct signer **out, const struct repository *repo, enum siterole role,
		     struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("%s.key", siterole_rule(role)->name);
	SCOPED_TEXT char *path = path_join(repo->keys, name);
	SCOPED(signer) struct signer *signer = NULL;

	if (path_exists(path))
		return signer_load(out, path, err);
	signer = signer_generate();
	if (!signer_save(signer, path, err))
		return false;
	*out = signer;
	signer = NULL;
	return true;
}

/* ---- reading back ---- */

/* "12.packages.json" → packages, 12. */
static bool read_role_file_name(enum siterole *role_out, int64_t *version_out, const char *name)
{
	size_t digits = strspn(name, "0123456789");
	char number[20], want[48];
	uint64_t version;

	if (digits == 0 || digits >= sizeof(number) || name[digits] != '.')
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)digits, name);
	if (!text_u64(&version, number, 1, INT64_MAX))
		return false;
	for (size_t role = 0; role < SITEROLE_COUNT_; role++) {
		snprintf(want, sizeof(want), ".%s.json", siterole_rule((enum siterole)role)->name);
		if (strcmp(name + digits, want) == 0) {
			*role_out = (enum siterole)role;
			*version_out = (int64_t)version;
			return true;
		}
	}
	return false;
}

/* Files of a commit that was cut short count as well: their versions are used up. */
static bool scan_versions(struct repository *repo, int64_t *root_out, struct err *err)
{
	DIR *folder = opendir(repo->metadata);
	struct dirent *entry;

	*root_out = 0;
	if (folder == NULL)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "folder %s", repo->metadata);
	while ((entry = readdir(folder)) != NULL) {
		enum siterole role;
		int64_t version;

		if (!read_role_file_name(&role, &version, entry->d_name))
			continue;
		publication_saw_version(repo->pub, role, version);
		if (role == SITEROLE_ROOT)
			*root_out = MAX_OF(*root_out, version);
	}
	closedir(folder);
	return true;
}

static bool load_role(struct repository *repo, enum siterole role, int64_t version, struct err *err)
{
	const struct siterole_rule *rule = siterole_rule(role);
	SCOPED_TEXT char *name = role == SITEROLE_TIMESTAMP
					 ? alloc_text("timestamp.json")
					 : alloc_printf("%" PRId64 ".%s.json", version, rule->name);
	SCOPED_TEXT char *path = path_join(repo->metadata, name);
	SCOPED(buf) struct buf bytes = { 0 };

	return path_read(&bytes, path, rule->bytes_max, err) &&
	       publication_load(repo->pub, role, buf_span(&bytes), err);
}

static bool load_publication(struct repository *repo, struct err *err)
{
	int64_t root;

	if (!scan_versions(repo, &root, err))
		return false;
	if (root == 0)
		return err_set(err, ERR_NOT_FOUND, "nothing is published in %s", repo->published);
	if (!load_role(repo, SITEROLE_ROOT, root, err) ||
	    !load_role(repo, SITEROLE_TIMESTAMP, 0, err) ||
	    !load_role(repo, SITEROLE_SNAPSHOT,
		       publication_listed_version(repo->pub, SITEROLE_SNAPSHOT), err))
		return false;
	for (size_t i = SITEROLE_TARGETS; i < SITEROLE_SNAPSHOT; i++) {
		enum siterole role = (enum siterole)i;

		if (!load_role(repo, role, publication_listed_version(repo->pub, role), err))
			return false;
	}
	return true;
}

bool repository_open(struct repository **out, const struct repository_folders *where,
		     struct err *err)
{
	SCOPED(repository) struct repository *repo = repository_new(where);

	if (!load_publication(repo, err) || !load_signers(repo, err))
		return err_what(err, "cannot open the publication in %s", where->published);
	*out = repo;
	repo = NULL;
	return true;
}

/* ---- creating ---- */

static bool found(struct repository *repo, struct err *err)
{
	const struct key *keys[SITEROLE_COUNT_];
	int64_t root;

	for (size_t i = 0; i < SITEROLE_COUNT_; i++) {
		struct signer *signer;

		if (!make_key(&signer, repo, (enum siterole)i, err))
			return false;
		ALLOC_GROW(repo->signers.items, repo->signers.count);
		repo->signers.items[repo->signers.count++] = signer;
		keys[i] = signer_public(signer);
	}
	publication_found(repo->pub, keys);
	return scan_versions(repo, &root, err);
}

bool repository_create(const struct repository_folders *where, int64_t now_s, struct err *err)
{
	SCOPED(repository) struct repository *repo = repository_new(where);
	SCOPED_TEXT char *timestamp = path_join(repo->metadata, "timestamp.json");
	enum repository_outcome outcome;

	if (path_exists(timestamp))
		return err_set(err, ERR_EXISTS, "something is published in %s", where->published);
	return path_make_dirs(repo->metadata, 0755, err) &&
	       path_make_dirs(repo->targets, 0755, err) && path_make_dirs(repo->keys, 0700, err) &&
	       found(repo, err) && repository_commit(&outcome, repo, now_s, err);
}

/* ---- changes ---- */

void repository_begin(struct repository *repo)
{
	assert(!repo->failed);
	publication_drop_changes(repo->pub);
}

static bool stands_with_size(const char *path, size_t size)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

static bool write_target(struct repository *repo, const char *path, struct span bytes,
			 struct err *err)
{
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;
	SCOPED_TEXT char *parent = alloc_text(path);

	*strrchr(parent, '/') = '\0';
	repo->unflushed = true;
	return (path_exists(parent) || path_make_dirs(parent, 0755, err)) &&
	       newfile_begin(&nf, path, 0644, err) && path_write_fd(nf.fd, bytes, err) &&
	       newfile_commit_unflushed(&nf, err);
}

bool repository_set_target(struct repository *repo, const char *path, struct span bytes,
			   struct err *err)
{
	struct publication_target wanted = { .length = bytes.size }, present;
	SCOPED_TEXT char *file = NULL, *full = NULL;
	enum siterole role;
	bool same;

	if (!siterole_of_path(&role, path))
		return err_set(err, ERR_REFUSED, "target \"%s\": no role signs such a path", path);
	digest_of(&wanted.sha256, bytes);
	same = publication_find_target(&present, repo->pub, path) &&
	       present.length == wanted.length && digest_equal(&present.sha256, &wanted.sha256);
	file = publication_target_file(path, &wanted.sha256);
	full = path_join(repo->targets, file);
	/* A file that is not published may be the torn rest of a power cut: it is written again. */
	if (!(same && stands_with_size(full, bytes.size)) && !write_target(repo, full, bytes, err))
		return err_what(err, "cannot write the target \"%s\"", path);
	return same || publication_set_target(repo->pub, path, &wanted, err);
}

bool repository_remove_target(struct repository *repo, const char *path, struct err *err)
{
	return publication_remove_target(repo->pub, path, err);
}

bool repository_each_target(const struct repository *repo, publication_target_fn fn, void *ctx)
{
	return publication_each_target(repo->pub, fn, ctx);
}

/* ---- committing ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_paths(struct publication_paths *paths)
{
	if (paths->count > 1)
		qsort(paths->items, paths->count, sizeof(*paths->items), compare_texts);
}

static bool paths_have(const struct publication_paths *sorted, const char *path)
{
	return sorted->count > 0 && bsearch(&path, sorted->items, sorted->count,
					    sizeof(*sorted->items), compare_texts) != NULL;
}

/*
 * A file's time of change is, from here on, when it left the publication: that is what its 30 days
 * count from. Done before the switch, so that no kill leaves an old time on a file that just left.
 */
static void mark_leaving(const struct repository *repo, int64_t now_s)
{
	const struct timespec times[2] = { { .tv_sec = now_s }, { .tv_sec = now_s } };
	SCOPED(publication_paths) struct publication_paths before = { 0 }, after = { 0 };

	publication_list(&before, repo->pub);
	publication_list_built(&after, repo->pub);
	sort_paths(&after);
	for (size_t i = 0; i < before.count; i++) {
		SCOPED_TEXT char *path = path_join(repo->published, before.items[i]);

		/* Failing only means that the file is kept for a shorter time. */
		if (!paths_have(&after, before.items[i]))
			(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
	}
}

static bool write_roles(struct repository *repo, const struct publication_files *files,
			int64_t now_s, struct err *err)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct publication_file *file = &files->items[i];
		SCOPED_TEXT char *path = path_join(repo->metadata, file->name);

		if (strcmp(file->name, "timestamp.json") == 0)
			mark_leaving(repo, now_s);
		if (!newfile_write(path, 0644, buf_span(&file->bytes), err))
			return err_what(err, "cannot publish %s", file->name);
	}
	return true;
}

static bool flush_targets(struct repository *repo, struct err *err)
{
	if (!repo->unflushed)
		return true;
	if (!path_sync_fs(repo->targets, err))
		return err_what(err, "cannot write the targets to disk");
	repo->unflushed = false;
	return true;
}

bool repository_commit(enum repository_outcome *out, struct repository *repo, int64_t now_s,
		       struct err *err)
{
	SCOPED(publication_files) struct publication_files files = { .count = 0 };
	bool changed = publication_has_changes(repo->pub);

	assert(!repo->failed);
	repo->failed = true;
	if (!publication_build(&files, repo->pub, &repo->signers, now_s, err))
		return err_what(err, "cannot sign the publication");
	if (!flush_targets(repo, err) || !write_roles(repo, &files, now_s, err))
		return false;
	publication_accept(repo->pub);
	repo->failed = false;
	*out = changed ? REPOSITORY_CHANGED
		       : (files.count > 0 ? REPOSITORY_RENEWED : REPOSITORY_UNCHANGED);
	return true;
}

/* ---- looking ---- */

void repository_show_role(struct repository_role *out, const struct repository *repo,
			  enum siterole role)
{
	out->name = siterole_rule(role)->name;
	out->version = publication_version(repo->pub, role);
	out->expires_s = publication_expires(repo->pub, role);
	publication_role_keys(&out->keys, repo->pub, role, &repo->signers);
}

bool repository_read_root(struct buf *out, const struct repository *repo, struct err *err)
{
	SCOPED_TEXT char *name = alloc_printf("%" PRId64 ".root.json",
					      publication_version(repo->pub, SITEROLE_ROOT));
	SCOPED_TEXT char *path = path_join(repo->metadata, name);

	return path_read(out, path, siterole_rule(SITEROLE_ROOT)->bytes_max, err);
}

void repository_files(struct publication_paths *out, const struct repository *repo)
{
	publication_list(out, repo->pub);
}

/* ---- garbage ---- */

struct sweep {
	const struct repository *repo;
	const struct publication_paths *current; /* sorted */
	struct publication_paths *found;
	int64_t before_s;
};

static bool sweep_folder(struct sweep *s, const char *relative, int depth, struct err *err);

static bool sweep_entry(struct sweep *s, const char *relative, int depth, struct err *err)
{
	SCOPED_TEXT char *path = path_join(s->repo->published, relative);
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT || err_sys(err, ERR_IO, errno, "file %s", path);
	if (S_ISDIR(st.st_mode))
		return depth >= FOLDER_DEPTH_MAX || sweep_folder(s, relative, depth + 1, err);
	if (S_ISREG(st.st_mode) && st.st_mtime < s->before_s && !paths_have(s->current, relative)) {
		ALLOC_GROW(s->found->items, s->found->count);
		s->found->items[s->found->count++] = alloc_text(relative);
	}
	return true;
}

static bool sweep_folder(struct sweep *s, const char *relative, int depth, struct err *err)
{
	SCOPED_TEXT char *path = path_join(s->repo->published, relative);
	DIR *folder = opendir(path);
	bool done = true;
	struct dirent *entry;

	if (folder == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", path);
	while (done && (entry = readdir(folder)) != NULL) {
		SCOPED_TEXT char *inner = path_join(relative, entry->d_name);

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			done = sweep_entry(s, inner, depth, err);
	}
	closedir(folder);
	return done;
}

bool repository_garbage(struct publication_paths *out, const struct repository *repo, int64_t now_s,
			struct err *err)
{
	SCOPED(publication_paths) struct publication_paths current = { 0 };
	struct sweep s = { .repo = repo,
			   .current = &current,
			   .found = out,
			   .before_s = now_s - REPOSITORY_KEEP_S };

	*out = (struct publication_paths){ 0 };
	publication_list(&current, repo->pub);
	sort_paths(&current);
	if (sweep_folder(&s, "metadata", 0, err) && sweep_folder(&s, "targets", 0, err))
		return true;
	publication_paths_release(out);
	return false;
}

bool repository_remove(const struct repository *repo, const struct publication_paths *garbage,
		       struct err *err)
{
	for (size_t i = 0; i < garbage->count; i++) {
		SCOPED_TEXT char *path = path_join(repo->published, garbage->items[i]);

		if (unlink(path) != 0 && errno != ENOENT)
			return err_sys(err, ERR_IO, errno, "file %s", path);
	}
	return true;
}
