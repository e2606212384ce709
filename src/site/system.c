#include "site/system.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/path.h"
#include "common/random.h"
#include "nal/provider.h"
#include "site/group.h"
#include "site/own.h"

static bool parse_addresses(struct locator *where, const struct system_spec *spec, struct err *err)
{
	if (spec->url_count > SYSTEM_ADDRESSES_MAX)
		return err_set(err, ERR_LIMIT, "%zu addresses, at most %d are kept",
			       spec->url_count, SYSTEM_ADDRESSES_MAX);
	for (size_t i = 0; i < spec->url_count; i++) {
		if (!locator_parse_argument(&where[i], spec->urls[i], err))
			return false;
		for (size_t j = 0; j < i; j++)
			if (locator_equal(&where[i], &where[j]))
				return err_set(err, ERR_USAGE, "address %s is given twice",
					       spec->urls[i]);
	}
	return true;
}

/* What is filled by somebody else is only read. */
static bool check_readable(const struct system_spec *spec, const struct locator *first,
			   struct err *err)
{
	const struct way_target target = { .where = first };

	if (spec->max_rate > 0) {
		err_set(err, ERR_USAGE, "nothing is copied to an external DP, at whatever rate");
		return err_fix(err, "leave --max-rate out");
	}
	return provider_for(&target) != NULL ||
	       err_set(err, ERR_UNSUPPORTED, "%s: the site cannot read through %s addresses",
		       first->text, locator_scheme_name(first->scheme));
}

/* The site writes through the first address, so something of ours must know how. */
static bool check_provider(const struct locator *first, struct err *err)
{
	const struct way_target target = { .where = first };
	const struct provider *provider = provider_for(&target);

	if (provider != NULL && (provider->capabilities & PROVIDER_PUT))
		return true;
	err_set(err, ERR_UNSUPPORTED, "%s: the site cannot write through %s addresses", first->text,
		locator_scheme_name(first->scheme));
	return err_fix(err, "give a folder or an http address first; this one may follow it");
}

static bool overlap(const char *a, const char *b)
{
	return path_contains(a, b) || path_contains(b, a);
}

static bool check_folder(struct site *site, const struct locator *first, struct err *err)
{
	SCOPED_TEXT char *www = site_path(site, "www");

	if (first->scheme != LOCATOR_FILE)
		return true;
	if (strcmp(first->path, "/") == 0)
		return err_set(err, ERR_REFUSED, "the root folder cannot be a CAP or DP");
	if (path_contains(www, first->path) && !path_contains(first->path, www))
		return true;
	if (overlap(site->dir, first->path))
		return err_set(err, ERR_REFUSED, "folder %s overlaps the site's own folder %s",
			       first->path, site->dir);
	return true;
}

/* Two systems of one kind in one place would overwrite each other's files. */
static bool check_first_address(struct site *site, const struct system_spec *spec,
				const struct locator *first, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_SYSTEM_FIRST_ADDRESSES, DB_NO_ARGS);

	while (db_rows_next(&rows)) {
		SCOPED(locator) struct locator other = { 0 };
		struct err ignored;

		if (strcmp(db_rows_text(&rows, 0), marker_kind_name(spec->kind)) != 0 ||
		    !locator_parse_argument(&other, db_rows_text(&rows, 2), &ignored))
			continue;
		if (locator_equal(&other, first))
			return err_set(err, ERR_EXISTS, "%s is the address of %s \"%s\" already",
				       first->text, db_rows_text(&rows, 0), db_rows_text(&rows, 1));
	}
	return db_rows_finish(&rows, err);
}

static bool check_inbox(const struct system_spec *spec, struct err *err)
{
	SCOPED(locator) struct locator inbox = { 0 };

	return spec->inbox == NULL ||
	       (locator_parse_argument(&inbox, spec->inbox, err) && check_provider(&inbox, err));
}

static bool refuse_web_server(const char *name, const char *url, const char *why, struct err *err)
{
	err_set(err, ERR_REFUSED,
		"CAP \"%s\": %s %s, so neither could policy be written there nor uploads be listed",
		name, url, why);
	return err_fix(
		err,
		"give a folder or share of the same place first, then this address: cap add %s /folder %s",
		name, url);
}

/* Folders and shares; of others only this site's serve shows its folder to us. */
static bool can_be_listed(const struct locator *where)
{
	const struct provider *provider = provider_of_scheme(where->scheme);

	return provider != NULL && (provider->capabilities & PROVIDER_LIST) != 0;
}

/* A CAP's first address takes writes and lists its inbox: a folder, a share, or our serve. */
static bool check_writable(bool *is_own_out, char **note_out, struct site *site,
			   const struct system_spec *spec, const struct locator *first,
			   struct err *err)
{
	SCOPED(conntab) struct conntab *tab = NULL;

	if (can_be_listed(first))
		return true;
	tab = own_new_table(site);
	switch (own_ask(site, tab, first)) {
	case OWN_YES:
		*is_own_out = true;
		return true;
	case OWN_SILENT:
		*note_out = alloc_printf(
			"nothing answers at %s yet; it is taken for this site's 'packway-site serve'",
			first->text);
		return true;
	case OWN_ABSENT:
		return spec->kind != MARKER_CAP ||
		       refuse_web_server(spec->name, first->text, "does not answer", err);
	case OWN_NO:
		return spec->kind != MARKER_CAP ||
		       refuse_web_server(spec->name, first->text,
					 "is not this site's 'packway-site serve'", err);
	}
	return true;
}

/* The admin is here now: later a missing folder of a DP is a mount that is away. */
static bool make_folder(const struct locator *first, struct err *err)
{
	struct stat st;

	if (first->scheme != LOCATOR_FILE)
		return true;
	if (!path_make_dirs(first->path, 0755, err))
		return false;
	if (stat(first->path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	return err_set(err, ERR_REFUSED, "%s is not a folder", first->path);
}

static bool add_rows(struct site *site, const struct system_spec *spec, const char *first,
		     bool is_own, struct err *err)
{
	const char *kind = marker_kind_name(spec->kind);
	char uuid[SITE_UUID_SIZE];
	int64_t id;

	random_uuid(uuid);
	if (!db_run(site->db, STMT_SYSTEM_ADD,
		    DB_ARGS(db_text(kind), db_text(spec->name), db_text(uuid), db_text(spec->group),
			    db_text(spec->inbox),
			    spec->max_rate > 0 ? db_int((int64_t)spec->max_rate) : db_null(),
			    db_text(spec->window), db_int(is_own), db_int(site_now(site)),
			    db_int(spec->is_external)),
		    err)) {
		if (err->code == ERR_EXISTS)
			err_set(err, ERR_EXISTS, "there is a %s \"%s\" already", kind, spec->name);
		return false;
	}
	id = db_last_id(site->db);
	for (size_t i = 0; i < spec->url_count; i++)
		if (!db_run(site->db, STMT_SYSTEM_ADD_ADDRESS,
			    DB_ARGS(db_int(id), db_int((int64_t)i),
				    db_text(i == 0 ? first : spec->urls[i])),
			    err))
			return false;
	return true;
}

static bool make_writable(bool *is_own_out, char **note_out, struct site *site,
			  const struct system_spec *spec, const struct locator *first,
			  struct err *err)
{
	return check_provider(first, err) && check_inbox(spec, err) &&
	       check_writable(is_own_out, note_out, site, spec, first, err) &&
	       make_folder(first, err);
}

static bool add(struct site *site, const struct system_spec *spec, const struct locator *where,
		char **note_out, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	/* A plain path is kept as the URL it stands for: clients read locators. */
	SCOPED_TEXT char *first = locator_url(&where[0]);
	bool is_own = false;

	return check_folder(site, &where[0], err) && group_check(site, spec->group, err) &&
	       check_first_address(site, spec, &where[0], err) &&
	       (spec->is_external ? check_readable(spec, &where[0], err)
				  : make_writable(&is_own, note_out, site, spec, &where[0], err)) &&
	       site_begin(site, err) && add_rows(site, spec, first, is_own, err) &&
	       site_commit_policy(site, err);
}

bool system_add(struct site *site, const struct system_spec *spec, char **note_out, struct err *err)
{
	struct locator where[SYSTEM_ADDRESSES_MAX] = { 0 };
	bool done;

	*note_out = NULL;
	done = parse_addresses(where, spec, err) && add(site, spec, where, note_out, err);
	for (size_t i = 0; i < COUNT_OF(where); i++)
		locator_release(&where[i]);
	return done;
}

static bool check_not_preferred(struct site *site, const char *name, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_SYSTEM_PREFERRED_BY, DB_ARGS(db_text(name)));

	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err);
	return err_set(err, ERR_IN_USE, "group \"%s\" prefers \"%s\"", db_rows_text(&rows, 0),
		       name);
}

static bool orphans(const char *name, int64_t other, struct err *err)
{
	char when[CLOCK_TEXT_MAX];

	if (other == 0)
		return err_set(err, ERR_IN_USE, "%s is the only CAP, and clients know no other",
			       name) ||
		       err_fix(err,
			       "add another, publish, and remove this one %d days later; or "
			       "orphan them: cap remove %s --now",
			       (int)(SYSTEM_OVERLAP_S / 86400), name);
	clock_print(when, other + SYSTEM_OVERLAP_S);
	return err_set(err, ERR_IN_USE, "clients that were away may know no other CAP than %s yet",
		       name) ||
	       err_fix(err, "remove it after %s; or orphan them: cap remove %s --now", when, name);
}

bool system_check_overlap(struct site *site, const char *name, struct err *err)
{
	int64_t clients, created, other;

	if (!db_number(&clients, site->db, STMT_CLIENT_COUNT, DB_NO_ARGS, 0, err) ||
	    !db_number(&created, site->db, STMT_SYSTEM_CREATED,
		       DB_ARGS(db_text(marker_kind_name(MARKER_CAP)), db_text(name)), 0, err) ||
	    !db_number(&other, site->db, STMT_SYSTEM_OLDEST_OTHER,
		       DB_ARGS(db_text(marker_kind_name(MARKER_CAP)), db_text(name)), 0, err))
		return false;
	if (clients == 0 || created == 0 ||
	    (other != 0 && (other <= created || site_now(site) - other >= SYSTEM_OVERLAP_S)))
		return true;
	return orphans(name, other, err);
}

bool system_remove(struct site *site, enum marker_kind kind, const char *name, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	int64_t id;

	if (!site_begin(site, err) ||
	    !db_number(&id, site->db, STMT_SYSTEM_FIND,
		       DB_ARGS(db_text(marker_kind_name(kind)), db_text(name)), 0, err))
		return false;
	if (id == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no %s \"%s\"", marker_kind_name(kind),
			       name);
	return check_not_preferred(site, name, err) &&
	       db_run(site->db, STMT_SYSTEM_REMOVE, DB_ARGS(db_int(id), db_int(site_now(site))),
		      err) &&
	       site_commit_policy(site, err);
}

bool system_list_json(json_t **out, struct site *site, enum marker_kind kind, struct err *err)
{
	return db_list(out, site->db, STMT_SYSTEM_LIST, DB_ARGS(db_text(marker_kind_name(kind))),
		       err);
}

void system_list_release(struct system_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct system *s = &list->items[i];

		free(s->name);
		free(s->uuid);
		free(s->group);
		free(s->inbox);
		free(s->window);
		free(s->mount);
		for (size_t j = 0; j < s->url_count; j++)
			free(s->urls[j]);
	}
	free(list->items);
	*list = (struct system_list){ 0 };
}

static bool load_addresses(struct site *site, struct system *system, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_SYSTEM_ADDRESSES,
				       DB_ARGS(db_int(system->id)));

	while (db_rows_next(&rows) && system->url_count < SYSTEM_ADDRESSES_MAX)
		system->urls[system->url_count++] = alloc_text(db_rows_text(&rows, 0));
	return db_rows_finish(&rows, err);
}

bool system_load(struct system_list *out, struct site *site, enum marker_kind kind,
		 enum system_scope scope, struct err *err)
{
	SCOPED(system_list) struct system_list list = { 0 };
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		site->db, STMT_SYSTEM_ROWS,
		DB_ARGS(db_text(marker_kind_name(kind)), db_int(scope == SYSTEM_LIVE_AND_REMOVED)));

	while (db_rows_next(&rows)) {
		ALLOC_GROW(list.items, list.count);
		list.items[list.count++] = (struct system){
			.id = db_rows_int(&rows, 0),
			.kind = kind,
			.name = alloc_text(db_rows_text(&rows, 2)),
			.uuid = alloc_text(db_rows_text(&rows, 3)),
			.group = alloc_text(db_rows_text(&rows, 4)),
			.inbox = alloc_text(db_rows_text(&rows, 5)),
			.max_rate = (uint64_t)db_rows_int(&rows, 6),
			.window = alloc_text(db_rows_text(&rows, 7)),
			.is_own = db_rows_int(&rows, 8) != 0,
			.is_removed = !db_rows_is_null(&rows, 9),
			.mount = alloc_text(db_rows_text(&rows, 10)),
			.is_external = db_rows_int(&rows, 11) != 0,
		};
	}
	if (!db_rows_finish(&rows, err))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (!load_addresses(site, &list.items[i], err))
			return false;
	*out = list;
	list = (struct system_list){ 0 };
	return true;
}

struct system *system_find(const struct system_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (!list->items[i].is_removed && strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	return NULL;
}

static bool remember_own(struct site *site, struct system *system, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	system->is_own = true;
	return site_begin(site, err) &&
	       db_run(site->db, STMT_SYSTEM_SET_OWN, DB_ARGS(db_int(system->id), db_int(1)), err) &&
	       site_commit(site, err);
}

static bool use_own_folder(struct locator *out, struct site *site, const struct locator *first,
			   struct err *err)
{
	SCOPED_TEXT char *folder = own_folder(site, first);
	SCOPED_TEXT char *absolute = NULL;

	if (!path_make_dirs(folder, 0755, err))
		return false;
	absolute = realpath(folder, NULL);
	if (absolute == NULL)
		return err_sys(err, ERR_IO, errno, "folder %s", folder);
	return locator_parse_argument(out, absolute, err);
}

bool system_write_locator(struct locator *out, struct site *site, struct conntab *tab,
			  struct system *system, struct err *err)
{
	SCOPED(locator) struct locator first = { 0 };
	enum own_answer answer = OWN_YES;

	if (!locator_parse_argument(&first, system->urls[0], err))
		return false;
	if (system->is_external) {
		locator_copy(out, &first);
		return true;
	}
	if (!system->is_own)
		answer = own_ask(site, tab, &first);
	if (answer == OWN_YES && !system->is_own && !remember_own(site, system, err))
		return false;
	if (answer == OWN_YES || answer == OWN_SILENT)
		return use_own_folder(out, site, &first, err);
	if (system->kind == MARKER_CAP && !can_be_listed(&first))
		return refuse_web_server(system->name, system->urls[0],
					 "is not this site's 'packway-site serve'", err);
	locator_copy(out, &first);
	return true;
}

bool system_check_source(struct site *site, const char *folder, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_SYSTEM_FIRST_ADDRESSES, DB_NO_ARGS);

	if (overlap(site->dir, folder))
		return err_set(err, ERR_REFUSED, "source %s overlaps the site's folder %s", folder,
			       site->dir);
	while (db_rows_next(&rows)) {
		SCOPED(locator) struct locator where = { 0 };
		struct err ignored;

		if (locator_parse_argument(&where, db_rows_text(&rows, 2), &ignored) &&
		    where.scheme == LOCATOR_FILE && overlap(where.path, folder))
			return err_set(err, ERR_REFUSED,
				       "source %s overlaps the folder of %s \"%s\"", folder,
				       db_rows_text(&rows, 0), db_rows_text(&rows, 1));
	}
	return db_rows_finish(&rows, err);
}
