#include "site/sitekeys.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"

#define REQUEST_FORMAT  1
#define PUBLIC_FORMAT   1
#define PUBLIC_MAX      16384
#define REQUEST_MAX     32000000 /* every role at its greatest, and keys */
#define LOCK_WAIT_MS    120000   /* a publish ends soon */
#define DAY_S           86400
#define YEAR_S          (365 * DAY_S)
#define WARN_DAYS_LONG  90
#define WARN_DAYS_SHORT 3

static bool make_pairs(const char *dir, struct err *err)
{
	SCOPED_TEXT char *sealing = path_join3(dir, "keys", "sealing.key");
	SCOPED_TEXT char *receipt = path_join3(dir, "keys", "receipt.key");
	SCOPED(sealer) struct sealer *sealer = sealer_generate();
	SCOPED(signer) struct signer *signer = signer_generate();

	return sealer_save(sealer, sealing, err) && signer_save(signer, receipt, err);
}

static bool open_repository(struct repository **out, const char *dir, struct err *err)
{
	SCOPED_TEXT char *published = path_join(dir, "published");
	SCOPED_TEXT char *keys = path_join(dir, "keys");

	return repository_open(
		out, &(struct repository_folders){ .published = published, .keys = keys }, err);
}

/* Clients begin with this file; it is public. */
static bool write_first_root(const char *dir, struct err *err)
{
	SCOPED_TEXT char *path = path_join(dir, "root.json");
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(buf) struct buf root = { 0 };

	return open_repository(&repo, dir, err) && repository_read_root(&root, repo, err) &&
	       newfile_write(path, 0644, buf_span(&root), err);
}

bool sitekeys_make(const char *dir, int64_t now_s, struct err *err)
{
	SCOPED_TEXT char *published = path_join(dir, "published");
	SCOPED_TEXT char *keys = path_join(dir, "keys");
	const struct repository_folders where = { .published = published, .keys = keys };

	return make_pairs(dir, err) && repository_create(&where, now_s, err) &&
	       write_first_root(dir, err);
}

bool sitekeys_load_sealer(struct sealer **out, const struct site *site, struct err *err)
{
	SCOPED_TEXT char *path = path_join3(site->dir, "keys", "sealing.key");

	return sealer_load(out, path, err);
}

bool sitekeys_load_receipt(struct signer **out, const struct site *site, struct err *err)
{
	SCOPED_TEXT char *path = path_join3(site->dir, "keys", "receipt.key");

	return signer_load(out, path, err);
}

bool sitekeys_open_repository(struct repository **out, const struct site *site, struct err *err)
{
	return open_repository(out, site->dir, err);
}

static json_t *new_row(const struct repository_role *shown, int64_t now_s)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "role", shown->name.text);
	jsondoc_set_int(row, "version", shown->version);
	jsondoc_set_time(row, "expires", shown->expires_s);
	jsondoc_set_int(row, "days_left", (shown->expires_s - now_s) / DAY_S);
	jsondoc_set_int(row, "bins", (int64_t)shown->bins);
	jsondoc_set_int(row, "keys", (int64_t)shown->keys.listed);
	jsondoc_set_int(row, "threshold", (int64_t)shown->keys.threshold);
	jsondoc_set_int(row, "here", (int64_t)shown->keys.here);
	jsondoc_set_text(row, "where",
			 shown->keys.here >= shown->keys.threshold ? "here" : "elsewhere");
	return row;
}

/* The setting that holds since when a role waits; 0: it does not. The caller frees it. */
static char *new_setting(const char *role_name)
{
	return alloc_printf("waits.%s", role_name);
}

static bool put_waiting(json_t *row, struct site *site, struct err *err)
{
	SCOPED_TEXT char *setting = new_setting(jsondoc_text(row, "role"));
	int64_t since_s;

	if (!site_setting(&since_s, site, setting, err))
		return false;
	if (since_s > 0)
		jsondoc_set_time(row, "waiting_since", since_s);
	else
		jsondoc_set(row, "waiting_since", json_null());
	return true;
}

char *sitekeys_new_waiting(const json_t *row)
{
	const char *since = jsondoc_text(row, "waiting_since");

	if (since == NULL)
		return NULL;
	return alloc_printf("role %s waits since %s for keys that are elsewhere (packway-site keys "
			    "request FILE); what clients have of it expires in %lld days",
			    jsondoc_text(row, "role"), since,
			    (long long)jsondoc_int(row, "days_left", 0));
}

static bool is_among(const json_t *names, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach (names, i, item)
		if (strcmp(json_string_value(item), name) == 0)
			return true;
	return false;
}

/* Only what changed is written: others look at the database for news. */
bool sitekeys_note_waiting(struct site *site, const json_t *waiting, struct err *err)
{
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		const struct siterole_name name = siterole_name(role);
		bool waits = is_among(waiting, name.text);
		SCOPED_TEXT char *setting = new_setting(name.text);
		int64_t since_s;

		if (siterole_is_bin(role))
			continue;
		if (!site_setting(&since_s, site, setting, err) ||
		    ((since_s > 0) != waits &&
		     !site_set_setting(site, setting, waits ? site_now(site) : 0, err)))
			return false;
	}
	return true;
}

bool sitekeys_list(json_t **out, struct site *site, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	json_auto_t *rows = json_array();

	if (!open_repository(&repo, site->dir, err))
		return false;
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		struct repository_role shown;
		json_t *row;

		if (siterole_is_bin(role))
			continue;
		repository_show_role(&shown, repo, role);
		row = new_row(&shown, site_now(site));
		json_array_append_new(rows, row);
		if (!put_waiting(row, site, err))
			return false;
	}
	*out = json_incref(rows);
	return true;
}

bool sitekeys_can_sign_code(const json_t *list)
{
	json_t *row;
	size_t i;

	json_array_foreach (list, i, row) {
		const char *role = jsondoc_text(row, "role");
		bool is_enough = jsondoc_int(row, "here", 0) >= jsondoc_int(row, "threshold", 1);

		if (role != NULL && is_enough &&
		    (strcmp(role, "packages") == 0 || strcmp(role, "targets") == 0 ||
		     strcmp(role, "root") == 0))
			return true;
	}
	return false;
}

/* Roles that live for years are warned of early: somebody has to fetch a key from its safe. */
static int64_t warn_below_days(const char *role_name)
{
	enum siterole role;

	return siterole_named(&role, role_name) && siterole_rule(role)->life_s > YEAR_S
		       ? WARN_DAYS_LONG
		       : WARN_DAYS_SHORT;
}

char *sitekeys_new_warning(const json_t *list)
{
	json_t *row;
	size_t i;

	json_array_foreach (list, i, row) {
		const char *role = jsondoc_text(row, "role");
		long long left = (long long)jsondoc_int(row, "days_left", 0);

		if (left < warn_below_days(role))
			return alloc_printf(
				left < 0
					? "role %s has expired (%lld days left): clients start "
					  "nothing new"
					: "role %s expires in %lld days: publish, or renew it with "
					  "packway-site keys request",
				role, left);
	}
	return NULL;
}

json_t *sitekeys_waiting(const struct repository *repo)
{
	json_t *names = json_array();

	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++)
		if (!siterole_is_bin(role) && repository_waits(repo, role))
			json_array_append_new(names, json_string(siterole_name(role).text));
	return names;
}

json_t *sitekeys_new_request(const struct site *site, json_t *roles)
{
	json_t *request = json_object();

	jsondoc_set_int(request, "format", REQUEST_FORMAT);
	jsondoc_set_text(request, "site", site->code);
	jsondoc_set_time(request, "made", site_now(site));
	jsondoc_set(request, "roles", roles);
	return request;
}

/* ---- changes ---- */

static bool commit(json_t **out, struct repository *repo, struct site *site, struct err *err)
{
	enum repository_outcome outcome;
	struct repository_role timestamp;

	if (!repository_commit(&outcome, repo, site_now(site), err))
		return false;
	repository_show_role(&timestamp, repo, SITEROLE_TIMESTAMP);
	*out = json_object();
	jsondoc_set_int(*out, "timestamp", timestamp.version);
	jsondoc_set(*out, "waiting", sitekeys_waiting(repo));
	return sitekeys_note_waiting(site, json_object_get(*out, "waiting"), err);
}

static bool open_for_change(int *lock_out, struct repository **out, enum siterole *role_out,
			    struct site *site, const char *role_name, struct err *err)
{
	if (role_name != NULL &&
	    (!siterole_named(role_out, role_name) || siterole_is_bin(*role_out)))
		return err_set(err, ERR_NOT_FOUND, "no role has the name \"%s\"", role_name);
	return site_lock(lock_out, site, "publish", LOCK_WAIT_MS, err) &&
	       open_repository(out, site->dir, err);
}

bool sitekeys_rotate(json_t **out, struct site *site, const char *role_name, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED_FD int lock = -1;
	enum siterole role;

	return open_for_change(&lock, &repo, &role, site, role_name, err) &&
	       repository_rotate(repo, role, err) && commit(out, repo, site, err);
}

/* {"format","role","key"}: nothing in it is secret. */
static bool read_public(struct key **out, const char *role_name, const char *file, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = NULL;
	const char *role;
	json_t *object;
	int64_t format;

	if (!path_read(&bytes, file, PUBLIC_MAX, err) ||
	    !jsondoc_read(&doc, buf_span(&bytes), err) ||
	    !jsondoc_need_int(&format, doc, "format", 1, PUBLIC_FORMAT, err) ||
	    !jsondoc_need_text(&role, doc, "role", err) ||
	    !jsondoc_need_object(&object, doc, "key", err))
		return err_what(err, "cannot read the public key %s", file);
	if (strcmp(role, role_name) != 0)
		return err_set(err, ERR_REFUSED, "%s is a key for the role %.40s", file, role);
	return keys_parse(out, object, err);
}

bool sitekeys_rotate_to(json_t **out, struct site *site, const char *role_name, const char *file,
			struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED(key) struct key *key = NULL;
	SCOPED_FD int lock = -1;
	enum siterole role;

	return read_public(&key, role_name, file, err) &&
	       open_for_change(&lock, &repo, &role, site, role_name, err) &&
	       repository_rotate_to(repo, role, key, err) && commit(out, repo, site, err);
}

static bool write_public(const char *file, const char *role_name, const struct key *key,
			 struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = json_object();

	jsondoc_set_int(doc, "format", PUBLIC_FORMAT);
	jsondoc_set_text(doc, "role", role_name);
	jsondoc_set(doc, "key", keys_print(key));
	jsondoc_write(&bytes, doc);
	buf_put_text(&bytes, "\n");
	return newfile_write(file, 0644, buf_span(&bytes), err);
}

bool sitekeys_make_key(char **name_out, const char *role_name, const char *keys, const char *file,
		       struct err *err)
{
	SCOPED(signer) struct signer *signer = signer_generate();
	SCOPED_TEXT char *name = NULL, *path = NULL;
	enum siterole role;

	if (!siterole_named(&role, role_name) || siterole_is_bin(role))
		return err_set(err, ERR_NOT_FOUND, "no role has the name \"%s\"", role_name);
	if (role >= SITEROLE_SNAPSHOT)
		return err_set(
			err, ERR_REFUSED,
			"the site signs %s each time that it publishes: its key cannot be elsewhere",
			role_name);
	name = repository_key_name(role, signer_public(signer));
	path = path_join(keys, name);
	if (!path_make_dirs(keys, 0700, err) || !signer_save(signer, path, err) ||
	    !write_public(file, role_name, signer_public(signer), err))
		return false;
	*name_out = name;
	name = NULL;
	return true;
}

bool sitekeys_set_threshold(json_t **out, struct site *site, const char *role_name,
			    size_t threshold, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED_FD int lock = -1;
	enum siterole role;

	return open_for_change(&lock, &repo, &role, site, role_name, err) &&
	       repository_set_threshold(repo, role, threshold, err) && commit(out, repo, site, err);
}

bool sitekeys_write_request(const char *file, const json_t *request, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	jsondoc_write(&bytes, request);
	buf_put_text(&bytes, "\n");
	return newfile_write(file, 0644, buf_span(&bytes), err);
}

bool sitekeys_read_request(json_t **out, const char *file, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *request = NULL;
	int64_t format;

	if (!path_read(&bytes, file, REQUEST_MAX, err) ||
	    !jsondoc_read(&request, buf_span(&bytes), err) ||
	    !jsondoc_need_int(&format, request, "format", 1, REQUEST_FORMAT, err))
		return err_what(err, "cannot read the request %s", file);
	*out = json_incref(request);
	return true;
}

bool sitekeys_import(json_t **out, struct site *site, const char *file, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;
	SCOPED_FD int lock = -1;
	json_auto_t *request = NULL;
	size_t count;

	if (!sitekeys_read_request(&request, file, err) ||
	    !open_for_change(&lock, &repo, NULL, site, NULL, err) ||
	    !repository_import(&count, repo, request, err) || !commit(out, repo, site, err))
		return false;
	jsondoc_set_int(*out, "roles", (int64_t)count);
	return true;
}
