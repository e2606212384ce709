#include "site/collection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/random.h"
#include "common/text.h"
#include "policy/inventory_schema.h"
#include "policy/membership.h"
#include "site/checks.h"

#define SALT_BYTES 16
#define QUERY_ALL                                                                      \
	"SELECT client_id FROM client" /* of the collection that exists from the start \
					*/

static bool add_members(struct site *site, const struct collection_spec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->member_count; i++) {
		char id[CHECKS_CLIENT_SIZE];

		if (!checks_client(id, site, spec->members[i], err) ||
		    !db_run(site->db, STMT_COLLECTION_ADD_MEMBER,
			    DB_ARGS(db_text(spec->name), db_text(id)), err))
			return false;
	}
	return true;
}

static bool add_row(struct site *site, const struct collection_spec *spec, struct err *err)
{
	uint8_t salt[SALT_BYTES];
	char salt_hex[2 * SALT_BYTES + 1];

	random_bytes(salt, sizeof(salt));
	text_hex(salt_hex, salt, sizeof(salt));
	if (db_run(site->db, STMT_COLLECTION_ADD,
		   DB_ARGS(db_text(spec->name), db_text(spec->query),
			   db_text(spec->query != NULL ? NULL : salt_hex),
			   spec->percent > 0 ? db_int(spec->percent) : db_null(),
			   db_int(site_now(site))),
		   err))
		return true;
	if (err->code == ERR_EXISTS)
		err_set(err, ERR_EXISTS, "there is a collection \"%s\" already", spec->name);
	return false;
}

static bool check_query(const char *query, struct err *err)
{
	if (query == NULL)
		return true;
	if (strlen(query) > COLLECTION_QUERY_MAX)
		return err_set(err, ERR_LIMIT, "--query is %zu bytes, at most %d are taken",
			       strlen(query), COLLECTION_QUERY_MAX);
	return membership_check_query(query, err);
}

bool collection_add(struct site *site, const struct collection_spec *spec, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return check_query(spec->query, err) && site_begin(site, err) && add_row(site, spec, err) &&
	       add_members(site, spec, err) && site_commit_policy(site, err);
}

/* A collection as its document has it, with what its texts are owned by. */
struct loaded {
	struct docs_collection doc;
	char *name;
	char *query;
	char *salt;
	const char **hashes; /* owned texts */
};

static void loaded_release(struct loaded *c)
{
	for (size_t i = 0; i < c->doc.member_count; i++)
		free((void *)(uintptr_t)c->hashes[i]);
	free(c->hashes);
	free(c->name);
	free(c->query);
	free(c->salt);
	*c = (struct loaded){ 0 };
}
SCOPED_RELEASE(loaded);

static bool load_members(struct loaded *c, struct site *site, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_COLLECTION_MEMBERS,
				       DB_ARGS(db_text(c->name)));

	while (db_rows_next(&rows)) {
		char hash[65];

		docs_member_hash(hash, c->salt, db_rows_text(&rows, 0));
		ALLOC_GROW(c->hashes, c->doc.member_count);
		c->hashes[c->doc.member_count++] = alloc_text(hash);
	}
	c->doc.members = c->hashes;
	return db_rows_finish(&rows, err);
}

static bool load(struct loaded *c, struct site *site, const char *name, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_COLLECTION_FIND, DB_ARGS(db_text(name)));

	if (!db_rows_next(&rows)) {
		if (!db_rows_finish(&rows, err))
			return false;
		err_set(err, ERR_NOT_FOUND, "there is no collection \"%s\"", name);
		return err_fix(err, "see 'packway-site collection list'");
	}
	c->name = alloc_text(name);
	c->query = alloc_text(db_rows_text(&rows, 0));
	c->salt = alloc_text(db_rows_text(&rows, 1));
	c->doc = (struct docs_collection){
		.name = c->name,
		.query = c->query,
		.salt = c->salt,
		.percent = db_rows_is_null(&rows, 2) ? DOCS_NEVER : db_rows_int(&rows, 2),
	};
	return c->salt == NULL || load_members(c, site, err);
}

bool collection_check(struct site *site, const char *name, struct err *err)
{
	SCOPED(loaded) struct loaded c = { 0 };

	return load(&c, site, name, err);
}

bool collection_remove(struct site *site, const char *name, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	if (strcmp(name, "all") == 0)
		return err_set(err, ERR_REFUSED, "the collection \"all\" always exists");
	return site_begin(site, err) && collection_check(site, name, err) &&
	       checks_unused(site, STMT_COLLECTION_USERS, "collection", name, err) &&
	       db_run(site->db, STMT_COLLECTION_REMOVE, DB_ARGS(db_text(name)), err) &&
	       site_commit_policy(site, err);
}

bool collection_list(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_COLLECTION_LIST, DB_NO_ARGS, err);
}

/* Which statement reads a client's rows of an inventory table. */
static const struct {
	const char *table;
	enum site_statement statement;
} readers[] = {
	{ "client", STMT_CLIENT_ROW },        { "os", STMT_OS_ROWS },
	{ "hardware", STMT_CLIENT_HARDWARE }, { "network", STMT_CLIENT_NETWORK },
	{ "disk", STMT_CLIENT_DISK },         { "software", STMT_SOFTWARE_ROWS },
};

static bool load_inventory(json_t **out, struct site *site, const char *client_id, struct err *err)
{
	json_auto_t *tables = json_object();

	for (size_t i = 0; i < COUNT_OF(readers); i++) {
		json_t *rows;

		if (!db_list(&rows, site->db, readers[i].statement, DB_ARGS(db_text(client_id)),
			     err))
			return false;
		jsondoc_set(tables, readers[i].table, rows);
	}
	*out = json_incref(tables);
	return true;
}

static bool is_member(bool *out, struct site *site, const struct loaded *c, const char *client_id,
		      struct err *err)
{
	SCOPED(membership) struct membership *m = NULL;
	json_auto_t *tables = NULL;
	char reason[MEMBERSHIP_REASON_MAX];

	if (!load_inventory(&tables, site, client_id, err) || !membership_new(&m, client_id, err) ||
	    !membership_load(m, tables, err))
		return false;
	*out = membership_evaluate(m, &c->doc, reason) == MEMBERSHIP_MEMBER;
	return true;
}

/* The ids of all enrolled clients that are members, as texts. */
static bool list_members(json_t *members, struct site *site, const struct loaded *c,
			 struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(site->db, STMT_CLIENT_IDS, DB_NO_ARGS);

	while (db_rows_next(&rows)) {
		bool is = false;

		if (!is_member(&is, site, c, db_rows_text(&rows, 0), err))
			return false;
		if (is)
			json_array_append_new(members, json_string(db_rows_text(&rows, 0)));
	}
	return db_rows_finish(&rows, err);
}

bool collection_show(json_t **out, struct site *site, const char *name, struct err *err)
{
	SCOPED(loaded) struct loaded c = { 0 };
	json_auto_t *object = json_object();
	json_t *members = json_array();

	jsondoc_set(object, "members", members);
	if (!load(&c, site, name, err) || !list_members(members, site, &c, err))
		return false;
	jsondoc_set_text(object, "name", name);
	jsondoc_set_text(object, "query", c.query);
	jsondoc_set(object, "percent",
		    c.doc.percent > 0 ? json_integer(c.doc.percent) : json_null());
	jsondoc_set_int(object, "named_members", (int64_t)c.doc.member_count);
	*out = json_incref(object);
	return true;
}

bool collection_count(int64_t *out, struct site *site, const char *name, struct err *err)
{
	SCOPED(loaded) struct loaded c = { 0 };
	json_auto_t *members = json_array();

	if (!load(&c, site, name, err))
		return false;
	/* The usual one without running it a million times. */
	if (c.query != NULL && strcmp(c.query, QUERY_ALL) == 0 && c.doc.percent == DOCS_NEVER)
		return db_number(out, site->db, STMT_CLIENT_COUNT, DB_NO_ARGS, 0, err);
	if (!list_members(members, site, &c, err))
		return false;
	*out = (int64_t)json_array_size(members);
	return true;
}
