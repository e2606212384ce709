#include "site/site.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"
#include "site/owner.h"
#include "site/schema.h"
#include "site/sitekeys.h"

#define DATABASE "site.db"

/* Folders of a site with their modes: what clients and web servers read is open, the rest is not.
 */
static const struct {
	const char *name;
	mode_t mode;
} folders[] = {
	{ "keys", 0700 }, { "library", 0755 },    { "published", 0755 },
	{ "www", 0755 },  { "quarantine", 0700 }, { "run", 0700 },
};

static bool is_code(const char *code)
{
	return strlen(code) == 3 && strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 3;
}

static bool make_folders(const char *dir, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		SCOPED_TEXT char *path = path_join(dir, folders[i].name);

		if (!path_make_dirs(path, folders[i].mode, err))
			return false;
	}
	return true;
}

/* The file is made before SQLite sees it: inventory is personal, so nobody else reads it. */
static bool make_database(const char *dir, const char *code, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = path_join(dir, DATABASE);
	SCOPED(db) struct db *db = NULL;
	SCOPED_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char uuid[SITE_UUID_SIZE];

	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "file %s", path);
	random_uuid(uuid);
	if (!db_open(&db, path, schema_spec(), DB_CREATE, err) || !db_begin(db, err))
		return false;
	return db_run(db, STMT_SETTING_SET, DB_ARGS(db_text("code"), db_text(code)), err) &&
	       db_run(db, STMT_SETTING_SET, DB_ARGS(db_text("name"), db_text(name)), err) &&
	       db_run(db, STMT_SETTING_SET, DB_ARGS(db_text("uuid"), db_text(uuid)), err) &&
	       db_commit(db, err);
}

static bool fill(const char *dir, const char *code, const char *name, const struct clock *clock,
		 struct err *err)
{
	return path_make_dirs(dir, 0755, err) && make_folders(dir, err) &&
	       make_database(dir, code, name, err) && sitekeys_make(dir, clock_wall_s(clock), err);
}

static bool move_in_place(const char *temp, const char *dir, struct err *err)
{
	if (rename(temp, dir) == 0)
		return true;
	if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
		return err_set(err, ERR_EXISTS, "%s is there already and is not an empty folder",
			       dir);
	return err_sys(err, ERR_IO, errno, "folder %s", dir);
}

bool site_init(const char *dir, const char *code, const char *name, const struct clock *clock,
	       struct err *err)
{
	SCOPED_TEXT char *plain = alloc_text(dir);
	SCOPED_TEXT char *temp = NULL;
	size_t length = strlen(plain);
	uint32_t salt;
	struct err ignored;

	while (length > 1 && plain[length - 1] == '/')
		plain[--length] = '\0';
	if (!is_code(code))
		return err_set(err, ERR_USAGE, "the site code \"%s\" is not three of A-Z and 0-9",
			       code);
	if (name != NULL && text_is_blank(name))
		return err_set(err, ERR_USAGE, "the site's name is blank");
	random_bytes(&salt, sizeof(salt));
	temp = alloc_printf("%s.new-%08" PRIx32, plain, salt);
	if (fill(temp, code, name != NULL ? name : code, clock, err) &&
	    owner_give(temp, plain, err) && move_in_place(temp, plain, err))
		return true;
	path_remove_tree(temp, &ignored);
	return err_what(err, "making the site %s in %s", code, plain);
}

static bool read_identity(struct site *site, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(site->db, STMT_SITE_IDENTITY, DB_NO_ARGS);

	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err) &&
		       err_set(err, ERR_DB, "the database does not say whose it is");
	snprintf(site->code, sizeof(site->code), "%s", db_rows_text(&rows, 0));
	site->name = alloc_text(db_rows_text(&rows, 1));
	snprintf(site->uuid, sizeof(site->uuid), "%s", db_rows_text(&rows, 2));
	return db_rows_finish(&rows, err);
}

bool site_open(struct site **out, const char *dir, const struct clock *clock, struct err *err)
{
	SCOPED(site) struct site *site = alloc_zeroed(1, sizeof(*site));
	SCOPED_TEXT char *database = path_join(dir, DATABASE);

	site->dir = alloc_text(dir);
	site->clock = clock;
	site->patch_versions = SITE_PATCH_VERSIONS;
	if (!path_exists(database))
		return err_set(err, ERR_NO_SITE, "there is no site in %s", dir);
	if (!db_open(&site->db, database, schema_spec(), 0, err) || !read_identity(site, err))
		return err_what(err, "opening the site in %s", dir);
	*out = site;
	site = NULL;
	return true;
}

bool site_open_again(struct site **out, const struct site *site, struct err *err)
{
	if (!site_open(out, site->dir, site->clock, err))
		return false;
	(*out)->tls_ca = site->tls_ca;
	(*out)->patch_versions = site->patch_versions;
	return true;
}

void site_close(struct site *site)
{
	if (site == NULL)
		return;
	db_close(site->db);
	free(site->dir);
	free(site->name);
	free(site);
}

bool site_begin(struct site *site, struct err *err)
{
	return db_begin(site->db, err);
}

bool site_commit(struct site *site, struct err *err)
{
	return db_commit(site->db, err);
}

bool site_commit_policy(struct site *site, struct err *err)
{
	return db_run(site->db, STMT_SETTING_COUNT, DB_ARGS(db_text("changes")), err) &&
	       db_commit(site->db, err);
}

void site_abandon(struct site *site)
{
	db_abandon(site->db);
}

bool site_changes(int64_t *out, struct site *site, struct err *err)
{
	return site_setting(out, site, "changes", err);
}

char *site_path(const struct site *site, const char *name)
{
	return path_join(site->dir, name);
}

char *site_library(const struct site *site)
{
	return path_join(site->dir, "library");
}

bool site_lock(int *fd_out, const struct site *site, const char *what, uint32_t wait_ms,
	       struct err *err)
{
	SCOPED_TEXT char *run = site_path(site, "run");
	SCOPED_TEXT char *path = alloc_printf("%s/%s.lock", run, what);

	if (path_lock(fd_out, path, wait_ms, err))
		return true;
	if (err->code == ERR_LOCKED)
		err_set(err, ERR_LOCKED, "another process is at work: %s", what);
	return false;
}

bool site_setting(int64_t *out, struct site *site, const char *key, struct err *err)
{
	return db_number(out, site->db, STMT_SETTING_GET, DB_ARGS(db_text(key)), 0, err);
}

bool site_set_setting(struct site *site, const char *key, int64_t value, struct err *err)
{
	return db_run(site->db, STMT_SETTING_SET, DB_ARGS(db_text(key), db_int(value)), err);
}

/* The kinds of ids: their counter, and the numbers that are theirs. */
struct id_kind {
	const char *counter;
	uint32_t first;
	uint32_t last;
};

static const struct id_kind package_ids = { "packages", 0x00001, 0x1ffff };
static const struct id_kind advertisement_ids = { "advertisements", 0x20001, 0xfffff };

static bool print_id(char *dst, const struct site *site, const struct id_kind *kind, int64_t used,
		     struct err *err)
{
	if (used < 1 || used > kind->last - kind->first + 1)
		return err_set(err, ERR_LIMIT, "all ids of site %s are used up: %s", site->code,
			       kind->counter);
	snprintf(dst, SITE_ID_SIZE, "%s%05X", site->code, (unsigned int)(kind->first + used - 1));
	return true;
}

static bool new_id(char *dst, struct site *site, const struct id_kind *kind, struct err *err)
{
	int64_t used;

	return db_run(site->db, STMT_SETTING_COUNT, DB_ARGS(db_text(kind->counter)), err) &&
	       site_setting(&used, site, kind->counter, err) &&
	       print_id(dst, site, kind, used, err);
}

bool site_next_package_id(char *dst, struct site *site, struct err *err)
{
	int64_t used;

	return site_setting(&used, site, package_ids.counter, err) &&
	       print_id(dst, site, &package_ids, used + 1, err);
}

bool site_new_package_id(char *dst, struct site *site, struct err *err)
{
	return new_id(dst, site, &package_ids, err);
}

bool site_new_advertisement_id(char *dst, struct site *site, struct err *err)
{
	return new_id(dst, site, &advertisement_ids, err);
}
