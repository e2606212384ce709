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
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"
#include "trust/issuance.h"
#include "trust/keychange.h"

#define FOLDER_DEPTH_MAX 4 /* targets/manifest/<id>/file */
#define KEYCHANGES_FILE  "changes.json"
#define KEYCHANGES_MAX   1000000

struct repository {
	char *published;
	char *metadata;
	char *targets;
	char *keys;
	struct publication *pub;
	struct authority_signers signers;
	char **signer_files;              /* the names of their files, in the same order */
	struct publication_paths retired; /* key files that the next commit makes useless */
	bool unflushed;                   /* files were written since the last flush */
	bool failed; /* a commit failed: what stands on disk has to be read again */
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
	for (size_t i = 0; i < repo->signers.count; i++) {
		signer_free(repo->signers.items[i]);
		free(repo->signer_files[i]);
	}
	free(repo->signers.items);
	free(repo->signer_files);
	publication_paths_release(&repo->retired);
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
	char known[sizeof(struct siterole_name)];
	enum siterole role;

	if (size < 4 || strcmp(name + size - 4, ".key") != 0)
		return false;
	snprintf(known, sizeof(known), "%.*s", (int)MIN_OF(stem, sizeof(known) - 1), name);
	return siterole_named(&role, known);
}

static void hold_signer(struct repository *repo, struct signer *signer, const char *name)
{
	ALLOC_GROW(repo->signers.items, repo->signers.count);
	ALLOC_GROW(repo->signer_files, repo->signers.count);
	repo->signer_files[repo->signers.count] = alloc_text(name);
	repo->signers.items[repo->signers.count++] = signer;
}

static bool load_signer(struct repository *repo, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join(repo->keys, name);
	struct signer *signer;

	if (!signer_load(&signer, path, err))
		return false;
	hold_signer(repo, signer, name);
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
	SCOPED_TEXT char *name = alloc_printf("%s.key", siterole_name(role).text);
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
	size_t digits = strspn(name, "0123456789"), size = strlen(name);
	char number[20], role_name[sizeof(struct siterole_name)];
	uint64_t version;

	if (digits == 0 || digits >= sizeof(number) || name[digits] != '.' || size < digits + 6 ||
	    size - digits - 6 >= sizeof(role_name) || strcmp(name + size - 5, ".json") != 0)
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)digits, name);
	snprintf(role_name, sizeof(role_name), "%.*s", (int)(size - digits - 6), name + digits + 1);
	if (!text_u64(&version, number, 1, INT64_MAX) || !siterole_named(role_out, role_name))
		return false;
	*version_out = (int64_t)version;
	return true;
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
					 : alloc_printf("%" PRId64 ".%s.json", version,
							siterole_name(role).text);
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
	for (enum siterole role = SITEROLE_TARGETS; role < SITEROLE_SNAPSHOT; role++) {
		if (siterole_is_bin(role) && publication_bins(repo->pub, siterole_whole(role)) == 0)
			continue;
		if (!load_role(repo, role, publication_listed_version(repo->pub, role), err))
			return false;
	}
	return true;
}

/* Changes of keys that wait for somebody's signature; there is nothing secret in them. */
static bool load_keychanges(struct repository *repo, struct err *err)
{
	SCOPED_TEXT char *path = path_join(repo->keys, KEYCHANGES_FILE);
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *changes = NULL;

	if (!path_exists(path))
		return true;
	if (!path_read(&bytes, path, KEYCHANGES_MAX, err) ||
	    !jsondoc_read(&changes, buf_span(&bytes), err))
		return false;
	publication_set_keychanges(repo->pub, changes);
	return true;
}

static bool save_keychanges(struct repository *repo, struct err *err)
{
	SCOPED_TEXT char *path = path_join(repo->keys, KEYCHANGES_FILE);
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *changes = publication_keychanges(repo->pub);

	if (changes == NULL)
		return unlink(path) == 0 || errno == ENOENT ||
		       err_sys(err, ERR_IO, errno, "remove %s", path);
	jsondoc_write(&bytes, changes);
	return newfile_write(path, 0600, buf_span(&bytes), err);
}

bool repository_open(struct repository **out, const struct repository_folders *where,
		     struct err *err)
{
	SCOPED(repository) struct repository *repo = repository_new(where);

	if (!load_publication(repo, err) || !load_signers(repo, err) || !load_keychanges(repo, err))
		return err_what(err, "cannot open the publication in %s", where->published);
	*out = repo;
	repo = NULL;
	return true;
}

/* ---- creating ---- */

static bool found(struct repository *repo, struct err *err)
{
	const struct key *keys[SITEROLE_COUNT_] = { 0 };
	int64_t root;

	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		struct signer *signer;

		if (siterole_is_bin(role))
			continue;
		if (!make_key(&signer, repo, role, err))
			return false;
		hold_signer(repo, signer, siterole_name(role).text);
		keys[role] = signer_public(signer);
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

/* The newest root is what all else is read back by: it is never torn. Others are flushed together.
 */
static bool write_role(struct repository *repo, const struct issuance_file *file, struct err *err)
{
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;
	SCOPED_TEXT char *path = path_join(repo->metadata, file->name);

	if (strstr(file->name, ".root.json") != NULL)
		return newfile_write(path, 0644, buf_span(&file->bytes), err) ||
		       err_what(err, "cannot publish %s", file->name);
	repo->unflushed = true;
	return (newfile_begin(&nf, path, 0644, err) &&
		path_write_fd(nf.fd, buf_span(&file->bytes), err) &&
		newfile_commit_unflushed(&nf, err)) ||
	       err_what(err, "cannot publish %s", file->name);
}

static bool flush(struct repository *repo, struct err *err)
{
	if (!repo->unflushed)
		return true;
	if (!path_sync_fs(repo->published, err))
		return err_what(err, "cannot write the publication to disk");
	repo->unflushed = false;
	return true;
}

/* What is published is what the timestamp leads to: all else is on the disk before it. */
static bool write_timestamp(struct repository *repo, const struct issuance_file *file,
			    int64_t now_s, struct err *err)
{
	SCOPED_TEXT char *path = path_join(repo->metadata, file->name);

	if (!flush(repo, err))
		return false;
	mark_leaving(repo, now_s);
	return newfile_write(path, 0644, buf_span(&file->bytes), err) ||
	       err_what(err, "cannot publish %s", file->name);
}

static bool write_roles(struct repository *repo, const struct issuance_files *files, int64_t now_s,
			struct err *err)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct issuance_file *file = &files->items[i];
		bool is_last = strcmp(file->name, "timestamp.json") == 0;

		if (is_last ? !write_timestamp(repo, file, now_s, err)
			    : !write_role(repo, file, err))
			return false;
	}
	return flush(repo, err);
}

/* A key that nobody trusts any more has no business here, unless its change still waits. */
static bool drop_retired(struct repository *repo, struct err *err)
{
	json_auto_t *waiting = publication_keychanges(repo->pub);

	for (size_t i = 0; waiting == NULL && i < repo->retired.count; i++) {
		SCOPED_TEXT char *path = path_join(repo->keys, repo->retired.items[i]);

		if (unlink(path) != 0 && errno != ENOENT)
			return err_sys(err, ERR_IO, errno, "remove %s", path);
	}
	return true;
}

bool repository_commit(enum repository_outcome *out, struct repository *repo, int64_t now_s,
		       struct err *err)
{
	SCOPED(issuance_files) struct issuance_files files = { .count = 0 };
	bool changed;

	publication_split(repo->pub);
	changed = issuance_has_changes(repo->pub);
	assert(!repo->failed);
	repo->failed = true;
	if (!issuance_build(&files, repo->pub, &repo->signers, now_s, err))
		return err_what(err, "cannot sign the publication");
	if (!write_roles(repo, &files, now_s, err))
		return false;
	issuance_accept(repo->pub);
	repo->failed = false;
	if (!save_keychanges(repo, err) || !drop_retired(repo, err))
		return false;
	*out = files.count == 0 ? REPOSITORY_UNCHANGED
	       : changed        ? REPOSITORY_CHANGED
				: REPOSITORY_RENEWED;
	return true;
}

bool repository_waits(const struct repository *repo, enum siterole role)
{
	return publication_waits(repo->pub, role);
}

/* ---- changes of keys ---- */

char *repository_key_name(enum siterole role, const struct key *key)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest id;

	keys_id(&id, key);
	digest_print(hex, &id);
	return alloc_printf("%s-%.16s.key", siterole_name(role).text, hex);
}

/* A new key, in a file that is named after it. */
static bool add_key(struct repository *repo, enum siterole role, struct err *err)
{
	const struct siterole_name role_name = siterole_name(role);
	SCOPED(signer) struct signer *signer = signer_generate();
	SCOPED_TEXT char *name = repository_key_name(role, signer_public(signer));
	SCOPED_TEXT char *path = path_join(repo->keys, name);

	if (!signer_save(signer, path, err))
		return false;
	if (!keychange_add(publication_signers(repo->pub, role), role_name.text,
			   signer_public(signer)))
		return err_set(err, ERR_INTERNAL, "role %s is not delegated to", role_name.text);
	hold_signer(repo, signer, name);
	signer = NULL;
	return true;
}

/* All keys of the role go; say how many were here. */
static size_t retire_keys(struct repository *repo, enum siterole role, json_t *holder)
{
	const struct siterole_name name = siterole_name(role);
	size_t retired = 0;

	for (size_t i = 0; i < repo->signers.count; i++) {
		if (!keychange_drop(holder, name.text, signer_public(repo->signers.items[i])))
			continue;
		ALLOC_GROW(repo->retired.items, repo->retired.count);
		repo->retired.items[repo->retired.count++] = alloc_text(repo->signer_files[i]);
		retired++;
	}
	return retired;
}

bool repository_rotate_to(struct repository *repo, enum siterole role, const struct key *key,
			  struct err *err)
{
	const struct siterole_name name = siterole_name(role);
	json_t *holder = publication_signers(repo->pub, role);
	json_t *entry = keychange_entry(holder, name.text);
	json_t *keyids = json_object_get(entry, "keyids");

	if (role >= SITEROLE_SNAPSHOT)
		return err_set(err, ERR_REFUSED, "the key of %s has to be on this machine",
			       name.text);
	if (retire_keys(repo, role, holder) == 0)
		keychange_drop_all(holder, name.text);
	if (!keychange_add(holder, name.text, key))
		return err_set(err, ERR_INTERNAL, "role %s is not delegated to", name.text);
	if ((int64_t)json_array_size(keyids) < jsondoc_int(entry, "threshold", 1))
		return err_set(
			err, ERR_REFUSED,
			"more keys than one have to sign role %s: set its threshold to 1 first",
			name.text);
	return save_keychanges(repo, err);
}

bool repository_rotate(struct repository *repo, enum siterole role, struct err *err)
{
	const struct siterole_name name = siterole_name(role);
	json_t *holder = publication_signers(repo->pub, role);
	size_t before = repo->signers.count, replaced = 0;

	for (size_t i = 0; i < before; i++) {
		if (!keychange_drop(holder, name.text, signer_public(repo->signers.items[i])))
			continue;
		ALLOC_GROW(repo->retired.items, repo->retired.count);
		repo->retired.items[repo->retired.count++] = alloc_text(repo->signer_files[i]);
		replaced++;
		if (!add_key(repo, role, err))
			return false;
	}
	if (replaced == 0)
		return err_set(err, ERR_REFUSED, "no key of role %s is on this machine", name.text);
	return save_keychanges(repo, err);
}

bool repository_set_threshold(struct repository *repo, enum siterole role, size_t threshold,
			      struct err *err)
{
	const struct siterole_name name = siterole_name(role);
	json_t *entry = keychange_entry(publication_signers(repo->pub, role), name.text);

	if (threshold < 1 || threshold > SITEROLE_KEYS_MAX)
		return err_set(err, ERR_REFUSED, "a role has 1 to %d keys", SITEROLE_KEYS_MAX);
	while (json_array_size(json_object_get(entry, "keyids")) < threshold)
		if (!add_key(repo, role, err))
			return false;
	jsondoc_set_int(entry, "threshold", (int64_t)threshold);
	return save_keychanges(repo, err);
}

bool repository_request(json_t **out, struct repository *repo, int64_t now_s, struct err *err)
{
	repo->failed = true;
	publication_split(repo->pub);
	return issuance_request(out, repo->pub, &repo->signers, now_s, err);
}

/* Clients would look for it in vain. */
static bool need_target(const struct repository *repo, const char *path, const json_t *entry,
			struct err *err)
{
	const char *hex = jsondoc_text(json_object_get(entry, "hashes"), "sha256");
	SCOPED_TEXT char *file = NULL, *full = NULL;
	struct digest sha256;
	enum siterole role;

	if (hex == NULL || !digest_parse(&sha256, hex) || !siterole_of_path(&role, path))
		return err_set(err, ERR_FORMAT, "target \"%s\" is listed in a wrong form", path);
	file = publication_target_file(path, &sha256);
	full = path_join(repo->targets, file);
	if (stands_with_size(full, (size_t)jsondoc_int(entry, "length", -1)))
		return true;
	err_set(err, ERR_NOT_FOUND, "the target \"%s\" that was signed is not here any more", path);
	return err_fix(err, "make a new request: packway-site keys request FILE");
}

static bool import_role(struct repository *repo, const json_t *wish, struct err *err)
{
	const json_t *targets = json_object_get(json_object_get(wish, "signed"), "targets");
	const char *path;
	json_t *entry;

	json_object_foreach ((json_t *)(uintptr_t)targets, path, entry)
		if (!need_target(repo, path, entry, err))
			return false;
	return issuance_give(repo->pub, wish, err);
}

bool repository_import(size_t *count_out, struct repository *repo, const json_t *request,
		       struct err *err)
{
	json_t *wishes, *wish;
	size_t i;

	if (!jsondoc_need_array(&wishes, request, "roles", SITEROLE_COUNT_, err))
		return false;
	json_array_foreach (wishes, i, wish)
		if (!import_role(repo, wish, err))
			return false;
	*count_out = i;
	return true;
}

static bool sign_wish(size_t *count, json_t *wish, const struct authority_signers *signers,
		      struct err *err)
{
	json_t *signatures, *keys, *body;
	SCOPED(buf) struct buf text = { 0 };

	if (!jsondoc_need_array(&signatures, wish, "signatures", SITEROLE_KEYS_MAX * 2, err) ||
	    !jsondoc_need_object(&keys, wish, "keys", err) ||
	    !jsondoc_need_object(&body, wish, "signed", err) ||
	    !jsondoc_canonical(&text, body, err))
		return false;
	*count += authority_countersign(signatures, keys, signers, buf_span(&text));
	return true;
}

bool repository_sign_request(size_t *count_out, json_t *request, const char *keys, struct err *err)
{
	const struct repository_folders where = { .published = keys, .keys = keys };
	SCOPED(repository) struct repository *repo = repository_new(&where);
	json_t *wishes, *wish;
	size_t i;

	*count_out = 0;
	if (!load_signers(repo, err) ||
	    !jsondoc_need_array(&wishes, request, "roles", SITEROLE_COUNT_, err))
		return false;
	json_array_foreach (wishes, i, wish)
		if (!sign_wish(count_out, wish, &repo->signers, err))
			return false;
	return true;
}

/* ---- looking ---- */

void repository_show_role(struct repository_role *out, const struct repository *repo,
			  enum siterole role)
{
	out->name = siterole_name(role);
	out->version = publication_version(repo->pub, role);
	out->expires_s = publication_expires(repo->pub, role);
	out->bins = publication_bins(repo->pub, role);
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
