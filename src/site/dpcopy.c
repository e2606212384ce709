#include "site/dpcopy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"
#include "site/distribute.h"
#include "site/dptree.h"
#include "site/leftovers.h"
#include "site/outlet.h"
#include "site/package.h"
#include "site/wanted.h"

/* One DP under work. */
struct work {
	struct site *site;
	struct system *dp;
	const struct dpcopy_options *options;
	struct outlet outlet;
	bool is_open;
	bool is_late; /* the DP's window closed meanwhile */
};

static void count_moved(uint64_t bytes, void *ctx)
{
	const struct work *w = ctx;

	atomic_fetch_add(&w->options->counts->done_bytes, bytes);
}

static bool is_validated(bool *out, const struct work *w, const char *name, struct err *err)
{
	int64_t found;

	if (!db_number(&found, w->site->db, STMT_DP_OBJECT_EXISTS,
		       DB_ARGS(db_int(w->dp->id), db_text(name)), 0, err))
		return false;
	*out = found != 0;
	return true;
}

static bool record_object(const struct work *w, const char *name, uint64_t size, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;

	return site_begin(w->site, err) &&
	       db_run(w->site->db, STMT_DP_OBJECT_ADD,
		      DB_ARGS(db_int(w->dp->id), db_text(name), db_int((int64_t)size)), err) &&
	       site_commit(w->site, err);
}

/* Somebody else brings it: all there is to do is to look. */
static bool look_for_object(struct work *w, const char *name, const struct index_object *object,
			    struct err *err)
{
	if (!outlet_check(&w->outlet, name, object->size, &object->digest, err)) {
		err_what(err, "looking for %s on external DP \"%s\"", name, w->dp->name);
		return err_fix(err, "copy it there from the library: see 'packway-site dp export'");
	}
	return record_object(w, name, object->size, err);
}

/* Put an object and read it back; one that was there already in a damaged state is replaced. */
static bool bring_object(struct work *w, const char *name, const struct index_object *object,
			 struct err *err)
{
	SCOPED_TEXT char *library = site_library(w->site);
	SCOPED_TEXT char *path = path_join(library, name);
	const struct outlet_source source = { .path = path };

	if (w->dp->is_external)
		return look_for_object(w, name, object, err);
	if (!outlet_put_checked(&w->outlet, name, &source, OUTLET_CREATE, object->size,
				&object->digest, err) &&
	    (err->code != ERR_CORRUPT ||
	     !outlet_put_checked(&w->outlet, name, &source, OUTLET_REPLACE, object->size,
				 &object->digest, err)))
		return false;
	return record_object(w, name, object->size, err);
}

static bool add_to_total(void *ctx, const char *name, const struct index_object *object,
			 struct err *err)
{
	struct work *w = ctx;
	bool is_there = false;

	if (!is_validated(&is_there, w, name, err))
		return false;
	if (!is_there)
		atomic_fetch_add(&w->options->counts->total_bytes, object->size);
	return true;
}

static bool window_is_open(const struct work *w)
{
	struct clock_window window;

	return w->dp->window == NULL || !clock_window_parse(&window, w->dp->window) ||
	       clock_window_is_open(&window, site_now(w->site));
}

static bool may_go(void *ctx)
{
	struct work *w = ctx;

	w->is_late = !window_is_open(w);
	return !w->is_late;
}

static bool bring_if_missing(void *ctx, const char *name, const struct index_object *object,
			     struct err *err)
{
	struct work *w = ctx;
	bool is_there = false, done;

	if (!is_validated(&is_there, w, name, err))
		return false;
	if (is_there)
		return true;
	if (!may_go(w))
		return false;
	w->outlet.may_go_on = may_go;
	done = bring_object(w, name, object, err);
	w->outlet.may_go_on = NULL;
	w->is_late = !done && w->outlet.was_stopped;
	return done;
}

static bool record_valid(struct work *w, const struct wanted *item, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;

	return site_begin(w->site, err) &&
	       db_run(w->site->db, STMT_DP_VERSION_SET,
		      DB_ARGS(db_int(w->dp->id), db_text(item->package), db_int(item->version),
			      db_text("valid"), db_int(0), db_int(0), db_null(),
			      db_int(site_now(w->site)), db_text(item->index_name)),
		      err) &&
	       site_commit_policy(w->site, err);
}

static int64_t next_attempt(int64_t attempts, int64_t now_s)
{
	int64_t wait_s = DISTRIBUTE_RETRY_MIN_S;

	for (int64_t i = 1; i < attempts && wait_s < DISTRIBUTE_RETRY_MAX_S; i++)
		wait_s *= 2;
	return now_s + MIN_OF(wait_s, (int64_t)DISTRIBUTE_RETRY_MAX_S);
}

/* `held` is the index that the DP is valid for all the same; NULL: it is not. */
static bool record_failure(struct work *w, const struct wanted *item, const char *held,
			   const struct err *why, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;
	int64_t attempts, now_s = site_now(w->site);

	atomic_fetch_add(&w->options->counts->failed, 1);
	if (!site_begin(w->site, err) ||
	    !db_number(&attempts, w->site->db, STMT_DP_VERSION_ATTEMPTS,
		       DB_ARGS(db_int(w->dp->id), db_text(item->package), db_int(item->version)), 0,
		       err))
		return false;
	return db_run(w->site->db, STMT_DP_VERSION_SET,
		      DB_ARGS(db_int(w->dp->id), db_text(item->package), db_int(item->version),
			      db_text(held != NULL ? "valid" : "failed"), db_int(attempts + 1),
			      db_int(next_attempt(attempts + 1, now_s)), db_text(why->why),
			      db_int(now_s), db_text(held)),
		      err) &&
	       site_commit_policy(w->site, err);
}

static bool is_due(bool *out, const struct work *w, const struct wanted *item, struct err *err)
{
	const char *only = w->options->package;
	int64_t next;

	*out = false;
	if (item->is_valid || (only != NULL && strcmp(only, item->package) != 0))
		return true;
	if (!db_number(&next, w->site->db, STMT_DP_VERSION_NEXT,
		       DB_ARGS(db_int(w->dp->id), db_text(item->package), db_int(item->version)), 0,
		       err))
		return false;
	*out = w->options->ignores_backoff || next <= site_now(w->site);
	return true;
}

/* The versions that are due now stay in the list, the rest is dropped. */
static bool keep_due(struct wanted_list *list, const struct work *w, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		bool due = false;

		if (!is_due(&due, w, &list->items[i], err))
			return false;
		if (due)
			list->items[kept++] = list->items[i];
		else
			wanted_release(&list->items[i]);
	}
	list->count = kept;
	return true;
}

/* Where patches cannot be brought, what is there stays as valid as it was. */
static const char *held_anyway(const struct wanted *item)
{
	return item->is_addition ? item->held : NULL;
}

static bool bring_version(struct work *w, const struct wanted *item, struct err *err)
{
	struct err why = { 0 };

	if (wanted_each_object(w->site, item, bring_if_missing, w, &why))
		return record_valid(w, item, err);
	/* Late is no failure: the rest goes when the window opens again. */
	return w->is_late || record_failure(w, item, held_anyway(item), &why, err);
}

/* A DP that lost its disk says so by its missing marker: what was validated there is gone. */
static bool forget_all(struct work *w, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;

	return site_begin(w->site, err) &&
	       db_run(w->site->db, STMT_DP_OBJECTS_FORGET, DB_ARGS(db_int(w->dp->id)), err) &&
	       db_run(w->site->db, STMT_TREES_FORGET, DB_ARGS(db_int(w->dp->id)), err) &&
	       db_run(w->site->db, STMT_DP_VERSIONS_FORGET, DB_ARGS(db_int(w->dp->id)), err) &&
	       site_commit_policy(w->site, err);
}

/* Nobody but its owner puts the marker on an external DP. */
static bool check_marked(const struct work *w, struct err *err)
{
	if (!w->dp->is_external || !w->outlet.is_new)
		return true;
	err_set(err, ERR_NOT_FOUND, "external DP \"%s\" has no marker %s of its own", w->dp->name,
		marker_file(MARKER_DP));
	return err_fix(err, "make it with 'packway-site dp export %s FOLDER' and copy it there",
		       w->dp->name);
}

static bool open_outlet(struct work *w, struct err *err)
{
	if (!outlet_open(&w->outlet, w->site, w->dp, err))
		return false;
	w->outlet.pace.rate_bps = w->dp->max_rate;
	w->outlet.moved = count_moved;
	w->outlet.ctx = w;
	return outlet_claim(&w->outlet, err) && (!w->outlet.is_new || forget_all(w, err)) &&
	       check_marked(w, err);
}

/* Open it unless it is open already. */
static bool reach_outlet(struct work *w, struct err *err)
{
	if (w->is_open)
		return true;
	outlet_close(&w->outlet);
	w->is_open = open_outlet(w, err);
	return w->is_open;
}

static bool bring_all(struct work *w, const struct wanted_list *due, struct err *err)
{
	struct err why = { 0 };

	for (size_t i = 0; i < due->count; i++) {
		struct err ignored;

		/* A total that cannot be told is only a poorer progress bar. */
		(void)wanted_each_object(w->site, &due->items[i], add_to_total, w, &ignored);
	}
	if (!reach_outlet(w, &why)) {
		for (size_t i = 0; i < due->count; i++)
			if (!record_failure(w, &due->items[i], held_anyway(&due->items[i]), &why,
					    err))
				return false;
		return true;
	}
	for (size_t i = 0; i < due->count && !w->is_late; i++)
		if (!bring_version(w, &due->items[i], err))
			return false;
	return true;
}

/* ---- plain copies ---- */

static bool keep_trees(struct work *w, struct err *err)
{
	const struct dptree_options options = {
		.package = w->options->package,
		.ignores_backoff = w->options->ignores_backoff,
		.keep_s = w->options->keep_s,
		.may_go = may_go,
		.ctx = w,
	};
	struct err why = { 0 };
	unsigned int failed;
	bool is_due = false;

	if (w->dp->is_external || w->is_late)
		return true;
	if (!dptree_is_due(&is_due, w->site, w->dp->id, &options, err))
		return false;
	/* A DP that cannot be reached was told of by its versions. */
	if (!is_due || !reach_outlet(w, &why) || (w->dp->is_removed && w->outlet.is_new))
		return true;
	if (!dptree_run(&failed, &w->outlet, &options, err))
		return false;
	atomic_fetch_add(&w->options->counts->failed, failed);
	return true;
}

/* ---- cleaning ---- */

static bool mark_used(void *ctx, const char *name, const struct index_object *object UNUSED,
		      struct err *err)
{
	struct work *w = ctx;

	return db_run(w->site->db, STMT_DP_OBJECT_USED, DB_ARGS(db_int(w->dp->id), db_text(name)),
		      err);
}

/* What no wanted version names begins to be unused; what one names again is used again. */
static bool mark_unused(struct work *w, const struct wanted_list *wanted, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;
	struct err ignored;

	if (!site_begin(w->site, err) ||
	    !db_run(w->site->db, STMT_DP_OBJECTS_DOUBT,
		    DB_ARGS(db_int(w->dp->id), db_int(site_now(w->site))), err) ||
	    !db_run(w->site->db, STMT_DP_FORGET_UNWANTED,
		    DB_ARGS(db_int(w->dp->id), db_int(DISTRIBUTE_KEEP_VERSIONS)), err))
		return false;
	for (size_t i = 0; i < wanted->count; i++)
		/* An index that cannot be read keeps nothing from being cleaned, but all it names.
		 */
		if (!wanted_each_object(w->site, &wanted->items[i], mark_used, w, &ignored))
			return true;
	return site_commit(w->site, err);
}

static bool list_unused(char ***names_out, size_t *count_out, const struct work *w, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(
		w->site->db, STMT_DP_OBJECTS_UNUSED,
		DB_ARGS(db_int(w->dp->id), db_int(site_now(w->site) - w->options->keep_s)));

	*names_out = NULL;
	*count_out = 0;
	while (db_rows_next(&rows)) {
		ALLOC_GROW(*names_out, *count_out);
		(*names_out)[(*count_out)++] = alloc_text(db_rows_text(&rows, 0));
	}
	return db_rows_finish(&rows, err);
}

static bool remove_object(struct work *w, const char *name, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;
	struct err why = { 0 };

	/* A DP that cannot be reached is cleaned another time; an external one by its owner. */
	if (!w->dp->is_external && !outlet_remove(&w->outlet, name, &why))
		return true;
	return site_begin(w->site, err) &&
	       db_run(w->site->db, STMT_DP_OBJECT_REMOVE, DB_ARGS(db_int(w->dp->id), db_text(name)),
		      err) &&
	       site_commit(w->site, err);
}

static bool clean(struct work *w, const struct wanted_list *wanted, struct err *err)
{
	struct err why = { 0 };
	char **names = NULL;
	size_t count = 0;
	bool done;

	done = mark_unused(w, wanted, err) && list_unused(&names, &count, w, err);
	/* Where the DP is new, or another's by now, there is nothing of ours. */
	if (done && count > 0 &&
	    (w->dp->is_external || (reach_outlet(w, &why) && !w->outlet.is_new)))
		for (size_t i = 0; done && i < count; i++)
			done = remove_object(w, names[i], err);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return done;
}

bool dpcopy_run(struct site *site, struct system *dp, const struct dpcopy_options *options,
		struct err *err)
{
	struct work w = { .site = site, .dp = dp, .options = options };
	SCOPED(wanted_list) struct wanted_list wanted = { 0 };
	SCOPED(wanted_list) struct wanted_list due = { 0 };
	struct err ignored;
	bool done;

	if (!window_is_open(&w))
		return true;
	/* A person who asks learns that a DP has lost its disk; the timer leaves it to clients. */
	if (options->ignores_backoff && !dp->is_removed)
		(void)reach_outlet(&w, &ignored);
	done = (dp->is_removed || (wanted_load(&wanted, site, dp->id, WANTED_NAMED, err) &&
				   wanted_load(&due, site, dp->id, WANTED_DUE, err))) &&
	       keep_due(&due, &w, err) && (due.count == 0 || bring_all(&w, &due, err)) &&
	       keep_trees(&w, err) && clean(&w, &wanted, err) &&
	       (!w.is_open || dp->is_external || leftovers_sweep(&w.outlet, err));
	outlet_close(&w.outlet);
	return done;
}

/* ---- validation ---- */

struct validation {
	struct work work;
	json_t *rows;
	const char *package;
	bool is_sound;
};

static void add_row(json_t *rows, const char *package, const char *object, const struct err *why)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "package", package);
	jsondoc_set_text(row, "object", object);
	jsondoc_set_text(row, "state", why == NULL ? "valid" : "damaged");
	jsondoc_set(row, "reason", why == NULL ? json_null() : jsondoc_new_text(why->why));
	json_array_append_new(rows, row);
}

static bool forget_object(struct work *w, const char *name, struct err *err)
{
	SITE_UNDO struct site *undo = w->site;

	return site_begin(w->site, err) &&
	       db_run(w->site->db, STMT_DP_OBJECT_REMOVE, DB_ARGS(db_int(w->dp->id), db_text(name)),
		      err) &&
	       site_commit(w->site, err);
}

/* A server that is away says nothing about what it holds. */
static bool is_away(const struct err *why)
{
	static const enum err_code codes[] = {
		ERR_NET,      ERR_NET_REFUSED, ERR_NET_TIMEOUT, ERR_NET_UNREACHABLE,
		ERR_NET_NAME, ERR_NET_TLS,
	};

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		if (why->code == codes[i])
			return true;
	return false;
}

static bool check_object(void *ctx, const char *name, const struct index_object *object,
			 struct err *err)
{
	struct validation *v = ctx;
	struct work *w = &v->work;
	struct err why = { 0 };

	if (outlet_check(&w->outlet, name, object->size, &object->digest, &why)) {
		add_row(v->rows, v->package, name, NULL);
		return record_object(w, name, object->size, err);
	}
	if (is_away(&why)) {
		*err = why;
		return false;
	}
	add_row(v->rows, v->package, name, &why);
	v->is_sound = false;
	return forget_object(w, name, err);
}

static bool validate_version(struct validation *v, const struct wanted *item, struct err *err)
{
	const struct err why = { .code = ERR_CORRUPT,
				 .why = "objects are missing or damaged there" };

	v->package = item->package;
	v->is_sound = true;
	if (!wanted_each_object(v->work.site, item, check_object, v, err))
		return false;
	return v->is_sound ? record_valid(&v->work, item, err)
			   : record_failure(&v->work, item, NULL, &why, err);
}

/* What is still to be brought is not missed. */
static void validate_what_is_held(struct wanted *item)
{
	if (item->held == NULL)
		return;
	free(item->index_name);
	item->index_name = item->held;
	item->held = NULL;
}

bool dpcopy_validate(json_t *rows, struct site *site, struct system *dp, const char *package,
		     struct err *err)
{
	struct dpcopy_counts counts = { 0 };
	const struct dpcopy_options options = { .package = package, .counts = &counts };
	struct validation v = {
		.work = { .site = site, .dp = dp, .options = &options },
		.rows = rows,
	};
	SCOPED(wanted_list) struct wanted_list wanted = { 0 };
	bool done = wanted_load(&wanted, site, dp->id, WANTED_DUE, err) &&
		    open_outlet(&v.work, err);

	for (size_t i = 0; done && i < wanted.count; i++) {
		validate_what_is_held(&wanted.items[i]);
		if (package == NULL || strcmp(package, wanted.items[i].package) == 0)
			done = validate_version(&v, &wanted.items[i], err);
	}
	outlet_close(&v.work.outlet);
	return done;
}
