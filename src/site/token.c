#include "site/token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "site/system.h"

#define TOKEN_BYTES     20
#define ROOT_MAX        512000
#define BUNDLE_CAPS_MAX 16 /* addresses that a client keeps */

static void hash_of(char *hex, const char *token)
{
	struct digest digest;

	digest_of(&digest, span_of_text(token));
	digest_print(hex, &digest);
}

bool token_create(char *token_out, struct site *site, uint64_t uses, uint64_t life_s,
		  struct err *err)
{
	SITE_UNDO struct site *undo = site;
	char hex[2 * TOKEN_BYTES + 1], hash[DIGEST_HEX_SIZE];
	uint8_t bytes[TOKEN_BYTES];
	int64_t now_s = site_now(site);

	random_bytes(bytes, sizeof(bytes));
	text_hex(hex, bytes, sizeof(bytes));
	snprintf(token_out, TOKEN_SIZE, "%s-%s", site->code, hex);
	hash_of(hash, token_out);
	return site_begin(site, err) &&
	       db_run(site->db, STMT_TOKEN_ADD,
		      DB_ARGS(db_text(hash), db_int((int64_t)uses), db_int(now_s + (int64_t)life_s),
			      db_int(now_s)),
		      err) &&
	       site_commit(site, err);
}

static bool add_caps(json_t *caps, struct site *site, struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };

	if (!system_load(&list, site, MARKER_CAP, SYSTEM_LIVE, err))
		return false;
	for (size_t i = 0; i < list.count; i++)
		for (size_t j = 0;
		     j < list.items[i].url_count && json_array_size(caps) < BUNDLE_CAPS_MAX; j++)
			json_array_append_new(caps, jsondoc_new_text(list.items[i].urls[j]));
	if (json_array_size(caps) > 0)
		return true;
	err_set(err, ERR_NOT_FOUND, "the site has no CAP that a client could go to");
	return err_fix(err, "add one first: packway-site cap add NAME URL");
}

bool token_write_bundle(struct site *site, const char *token, const char *path, struct err *err)
{
	SCOPED_TEXT char *root_path = site_path(site, "root.json");
	SCOPED(buf) struct buf root = { 0 };
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();
	json_t *caps = json_array(), *root_doc;

	jsondoc_set_int(doc, "format", 1);
	jsondoc_set_text(doc, "site", site->code);
	jsondoc_set(doc, "caps", caps);
	jsondoc_set_text(doc, "token", token);
	if (path_exists(path))
		return err_set(err, ERR_EXISTS, "%s is there already", path);
	if (!add_caps(caps, site, err) || !path_read(&root, root_path, ROOT_MAX, err))
		return false;
	if (!jsondoc_read(&root_doc, buf_span(&root), err))
		return false;
	jsondoc_set(doc, "root", root_doc);
	jsondoc_write(&text, doc);
	buf_put_text(&text, "\n");
	return newfile_write(path, 0600, buf_span(&text), err);
}

bool token_list(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_TOKEN_LIST, DB_ARGS(db_int(site_now(site))), err);
}

bool token_revoke(struct site *site, int64_t id, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (!site_begin(site, err) ||
	    !db_run(site->db, STMT_TOKEN_REVOKE, DB_ARGS(db_int(id)), err))
		return false;
	if (db_changed(site->db) == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no token %" PRId64, id);
	return site_commit(site, err);
}

bool token_use(int64_t *id_out, struct site *site, const char *token, struct err *err)
{
	char hash[DIGEST_HEX_SIZE];

	hash_of(hash, token);
	return db_number(id_out, site->db, STMT_TOKEN_USE,
			 DB_ARGS(db_text(hash), db_int(site_now(site))), 0, err);
}
