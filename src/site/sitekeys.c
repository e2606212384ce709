#include "site/sitekeys.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"

#define REQUEST_FORMAT  1
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

bool sitekeys_list(json_t **out, const struct site *site, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;

	if (!open_repository(&repo, site->dir, err))
		return false;
	*out = json_array();
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		struct repository_role shown;

		if (siterole_is_bin(role))
			continue;
		repository_show_role(&shown, repo, role);
		json_array_append_new(*out, new_row(&shown, site_now(site)));
	}
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

static bool commit(json_t **out, struct repository *repo, const struct site *site, struct err *err)
{
	enum repository_outcome outcome;
	struct repository_role timestamp;

	if (!repository_commit(&outcome, repo, site_now(site), err))
		return false;
	repository_show_role(&timestamp, repo, SITEROLE_TIMESTAMP);
	*out = json_object();
	jsondoc_set_int(*out, "timestamp", timestamp.version);
	jsondoc_set(*out, "waiting", sitekeys_waiting(repo));
	return true;
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
