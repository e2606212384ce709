#include "site/sitekeys.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"

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

bool sitekeys_list(json_t **out, const struct site *site, struct err *err)
{
	SCOPED(repository) struct repository *repo = NULL;

	if (!open_repository(&repo, site->dir, err))
		return false;
	*out = json_array();
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		struct repository_role shown;
		json_t *row = json_object();

		repository_show_role(&shown, repo, role);
		jsondoc_set_text(row, "role", shown.name);
		jsondoc_set_int(row, "version", shown.version);
		jsondoc_set_time(row, "expires", shown.expires_s);
		jsondoc_set_int(row, "keys", (int64_t)shown.keys.listed);
		jsondoc_set_int(row, "threshold", (int64_t)shown.keys.threshold);
		jsondoc_set_int(row, "here", (int64_t)shown.keys.here);
		json_array_append_new(*out, row);
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
