#include "agent/renewal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/anchor.h"
#include "agent/generation.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "policy/docs.h"
#include "trust/localmeta.h"

#define ROLES_FILE     "roles" /* in a generation: which files its metadata has */
#define ROLES_FILE_MAX ((size_t)1 << 22)
#define DEPTH_MAX      16

struct work {
	const struct renewal *r;
	struct renewal_outcome *out;
	struct updater *updater;
	char *newest;             /* STATE/metadata */
	struct generation before; /* in force; empty: none is */
	struct generation to;     /* what documents are put into: the draft, or the one in force */
};

static const struct state *state_of(const struct work *w)
{
	return w->r->state;
}

/* ---- files ---- */

/* A draft is flushed as a whole before anything refers to it. */
static bool put_unflushed(const char *path, struct span bytes, struct err *err)
{
	SCOPED(newfile) struct newfile nf = NEWFILE_EMPTY;

	return newfile_begin(&nf, path, 0600, err) && path_write_fd(nf.fd, bytes, err) &&
	       newfile_commit_unflushed(&nf, err);
}

static bool is_draft(const struct work *w)
{
	return w->to.fd < 0;
}

static bool put(const struct work *w, const char *path, struct span bytes, struct err *err)
{
	SCOPED_TEXT char *folder = alloc_printf("%.*s", (int)(path_base(path) - path - 1), path);

	if (!path_make_dirs(folder, 0700, err))
		return false;
	return is_draft(w) ? put_unflushed(path, bytes, err)
			   : newfile_write(path, 0600, bytes, err);
}

/* Nobody ever writes into a file of a generation: two may share it. */
static bool share(const char *from, const char *to)
{
	(void)unlink(to);
	return link(from, to) == 0;
}

/* ---- documents ---- */

static char *target_file(const struct generation *g, const char *path)
{
	return path_join(g->targets, path);
}

static bool read_matching(struct buf *out, const char *file, const struct updater_target *t)
{
	struct err ignored;

	buf_clear(out);
	return path_read(out, file, (size_t)t->listing.length, &ignored) &&
	       updater_target_matches(t, buf_span(out));
}

static bool is_here(const struct generation *g, const struct updater_target *t)
{
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *file = g->dir != NULL ? target_file(g, t->path) : NULL;

	return file != NULL && read_matching(&bytes, file, t);
}

/* Name the document in the reason, and keep the fault's code. */
static enum verdict blame(const struct work *w, const char *path, enum verdict verdict,
			  struct err *err)
{
	struct updater_state state;
	SCOPED_TEXT char *why = alloc_text(err->why);

	updater_state(&state, w->updater);
	snprintf(err->why, sizeof(err->why), "%s of policy version %lld: %s (%s)", path,
		 (long long)state.timestamp, why, verdict_name(verdict));
	return verdict;
}

static enum verdict fetch(struct work *w, const struct updater_target *t, const char *file,
			  struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	enum verdict verdict = updater_fetch_target(w->updater, t, &bytes, err);

	if (verdict != VERDICT_OK)
		return blame(w, t->path, verdict, err);
	w->out->changed = true;
	return put(w, file, buf_span(&bytes), err) ? VERDICT_OK : VERDICT_NOT_STORED;
}

/* Carry a document over from the generation in force. */
static enum verdict carry(struct work *w, const struct updater_target *t, const char *file,
			  bool *carried_out, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED_TEXT char *old = w->before.dir != NULL ? target_file(&w->before, t->path) : NULL;
	SCOPED_TEXT char *folder = alloc_printf("%.*s", (int)(path_base(file) - file - 1), file);

	*carried_out = is_draft(w) && old != NULL && read_matching(&bytes, old, t);
	if (!*carried_out)
		return VERDICT_OK;
	if (!path_make_dirs(folder, 0700, err))
		return VERDICT_NOT_STORED;
	return share(old, file) || put(w, file, buf_span(&bytes), err) ? VERDICT_OK
								       : VERDICT_NOT_STORED;
}

/* Have one target here. */
static enum verdict ensure(struct work *w, const struct updater_target *t, struct err *err)
{
	SCOPED_TEXT char *file = NULL;
	bool carried;
	enum verdict verdict;

	/* What could be no file beneath a folder is no document of ours. */
	if (!path_is_beneath(span_of_text(t->path)) || is_here(&w->to, t))
		return VERDICT_OK;
	file = target_file(&w->to, t->path);
	verdict = carry(w, t, file, &carried, err);
	return carried || verdict != VERDICT_OK ? verdict : fetch(w, t, file, err);
}

struct each {
	struct work *w;
	struct err *err;
	enum verdict verdict;
};

static bool ensure_each(void *ctx, const struct updater_target *t)
{
	struct each *e = ctx;

	e->verdict = ensure(e->w, t, e->err);
	return e->verdict == VERDICT_OK;
}

/* A site that signs with one role has no delegations. */
static enum verdict forgive_absence(enum verdict verdict)
{
	return verdict == VERDICT_MISSING_TARGET_ROLE ? VERDICT_OK : verdict;
}

/*
 * Have a role's own file here, for children without network; its targets, and the bins that list
 * them, are fetched when asked for.
 */
static enum verdict ensure_listing(struct work *w, const char *role, struct err *err)
{
	return forgive_absence(updater_hold_role(w->updater, role, err));
}

/* Everything that a role lists: it concerns every client. */
static enum verdict ensure_role(struct work *w, const char *role, struct err *err)
{
	struct each e = { .w = w, .err = err, .verdict = VERDICT_OK };
	enum verdict verdict = updater_each_target(w->updater, role, ensure_each, &e, err);

	return e.verdict != VERDICT_OK ? e.verdict : forgive_absence(verdict);
}

static enum verdict ensure_path(struct work *w, const char *path, struct err *err)
{
	struct updater_target target;
	enum verdict verdict = updater_find_target(w->updater, path, &target, err);

	/* What the site does not list is no policy, and no fault of this server's. */
	if (verdict == VERDICT_TARGET_NOT_FOUND)
		return VERDICT_OK;
	return verdict == VERDICT_OK ? ensure(w, &target, err) : verdict;
}

/* ---- every file of a generation ---- */

typedef enum verdict visit_fn(struct work *w, const char *path, struct err *err);

static enum verdict visit_tree(struct work *w, const char *root, const char *path, int depth,
			       visit_fn *visit, struct err *err);

static enum verdict visit_entry(struct work *w, const char *root, const char *path, int depth,
				visit_fn *visit, struct err *err)
{
	SCOPED_TEXT char *file = path_join(root, path);
	struct stat info;

	if (lstat(file, &info) != 0)
		return VERDICT_OK;
	if (S_ISDIR(info.st_mode))
		return visit_tree(w, root, path, depth + 1, visit, err);
	return S_ISREG(info.st_mode) ? visit(w, path, err) : VERDICT_OK;
}

static enum verdict visit_tree(struct work *w, const char *root, const char *path, int depth,
			       visit_fn *visit, struct err *err)
{
	SCOPED_TEXT char *dir = path_join(root, path);
	struct dirent **names;
	int count = depth < DEPTH_MAX ? scandir(dir, &names, NULL, alphasort) : -1;
	enum verdict verdict = VERDICT_OK;

	for (int i = 0; i < count; i++) {
		SCOPED_TEXT char *inner = path[0] != '\0' ? path_join(path, names[i]->d_name)
							  : alloc_text(names[i]->d_name);

		if (verdict == VERDICT_OK && names[i]->d_name[0] != '.')
			verdict = visit_entry(w, root, inner, depth, visit, err);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return verdict;
}

/* What is here stays current. Manifests never change; one that is not as listed is fetched when it
 * is asked for. */
static enum verdict keep_current(struct work *w, const char *path, struct err *err)
{
	struct updater_target t;
	bool carried;

	if (strncmp(path, "manifest/", 9) != 0)
		return ensure_path(w, path, err);
	if (updater_find_target(w->updater, path, &t, err) == VERDICT_OK && !is_here(&w->to, &t)) {
		SCOPED_TEXT char *file = target_file(&w->to, path);

		return carry(w, &t, file, &carried, err);
	}
	return VERDICT_OK;
}

/* A draft of an earlier attempt may have what is listed no more. */
static enum verdict drop_unlisted(struct work *w, const char *path, struct err *err)
{
	struct updater_target t;
	enum verdict verdict = updater_find_target(w->updater, path, &t, err);
	SCOPED_TEXT char *file = target_file(&w->to, path);

	if (verdict != VERDICT_TARGET_NOT_FOUND)
		return verdict;
	(void)unlink(file);
	return VERDICT_OK;
}

/*
 * What concerns every client, and what this one has of packages and their places; other packages
 * are fetched when asked for. With one signing role for everything, all but packages are listed by
 * "targets" itself, and asked for as well.
 */
static enum verdict bring_documents(struct work *w, struct err *err)
{
	static const char *const roles[] = { "site", "assignments" };
	static const char *const listings[] = { "packages", "locations" };
	enum verdict verdict = VERDICT_OK;

	for (size_t i = 0; i < COUNT_OF(roles) && verdict == VERDICT_OK; i++)
		verdict = ensure_role(w, roles[i], err);
	for (size_t i = 0; i < COUNT_OF(listings) && verdict == VERDICT_OK; i++)
		verdict = ensure_listing(w, listings[i], err);
	if (verdict == VERDICT_OK && w->before.dir != NULL)
		verdict = visit_tree(w, w->before.targets, "", 0, keep_current, err);
	return verdict == VERDICT_OK ? visit_tree(w, w->to.targets, "", 0, drop_unlisted, err)
				     : verdict;
}

/* ---- metadata ---- */

static bool is_same_file(const char *a, const char *b)
{
	SCOPED(buf) struct buf one = { 0 }, other = { 0 };
	struct err ignored;

	return path_read(&one, a, UPDATER_TARGET_MAX, &ignored) &&
	       path_read(&other, b, UPDATER_TARGET_MAX, &ignored) &&
	       span_equal(buf_span(&one), buf_span(&other));
}

static bool is_same_role(const struct generation *g, const char *newest, const char *name)
{
	SCOPED_TEXT char *a = path_join(g->metadata, name);
	SCOPED_TEXT char *b = path_join(newest, name);

	return is_same_file(a, b);
}

/* Which files a generation's metadata must have, one name a line: one that rots away is missed. */
static bool read_list(struct buf *out, const struct generation *g)
{
	SCOPED_TEXT char *list = path_join(g->dir, ROLES_FILE);
	struct err ignored;

	return path_read(out, list, ROLES_FILE_MAX, &ignored);
}

static bool lists(const struct buf *names, const char *name)
{
	struct span rest = buf_span(names), line;

	while (span_take_line(&rest, &line))
		if (span_equal_text(line, name))
			return true;
	return false;
}

static bool has_newest(const struct generation *g, const char *newest)
{
	SCOPED(buf) struct buf names = { 0 };
	struct span rest, line;

	if (g->dir == NULL || !read_list(&names, g) || !lists(&names, "timestamp.json"))
		return false;
	rest = buf_span(&names);
	while (span_take_line(&rest, &line)) {
		SCOPED_TEXT char *name = alloc_printf("%.*s", (int)line.size,
						      (const char *)line.data);

		if (!is_same_role(g, newest, name))
			return false;
	}
	return rest.size == 0;
}

struct copying {
	const struct work *w;
	struct err *err;
	struct buf names;
	bool grew;
};

/* Copies, not links: where one rots, the other tells. */
static bool copy_role(void *ctx, const char *name)
{
	struct copying *c = ctx;
	SCOPED_TEXT char *from = path_join(c->w->newest, name);
	SCOPED_TEXT char *to = path_join(c->w->to.metadata, name);
	SCOPED(buf) struct buf bytes = { 0 };

	if (lists(&c->names, name) && is_same_file(from, to))
		return true;
	if (!path_read(&bytes, from, UPDATER_TARGET_MAX, c->err) ||
	    !put(c->w, to, buf_span(&bytes), c->err))
		return false;
	if (!lists(&c->names, name))
		buf_printf(&c->names, "%s\n", name);
	c->grew = true;
	return true;
}

/* Put the roles that this run has verified beside the documents. */
static enum verdict copy_roles(const struct work *w, struct err *err)
{
	struct copying c = { .w = w, .err = err };
	SCOPED_TEXT char *list = path_join(w->to.dir, ROLES_FILE);
	bool done;

	if (!is_draft(w))
		(void)read_list(&c.names, &w->to);
	done = updater_each_file(w->updater, copy_role, &c) &&
	       (!c.grew || put(w, list, buf_span(&c.names), err));
	buf_release(&c.names);
	return done ? VERDICT_OK : VERDICT_NOT_STORED;
}

/* A draft that an earlier run left may have documents of use, but no metadata. */
static enum verdict copy_roles_anew(const struct work *w, struct err *err)
{
	return path_remove_tree(w->to.metadata, err) ? copy_roles(w, err) : VERDICT_NOT_STORED;
}

bool renewal_is_complete(const struct state *st)
{
	SCOPED(generation) struct generation now = GENERATION_EMPTY;
	SCOPED_TEXT char *newest = state_path(st, "metadata");
	struct err ignored;

	return generation_hold(&now, st, &ignored) && has_newest(&now, newest);
}

/* ---- the steps ---- */

static void hold_again(struct work *w)
{
	struct err ignored;

	generation_release(&w->before);
	if (!generation_hold(&w->before, state_of(w), &ignored))
		w->before = (struct generation)GENERATION_EMPTY;
}

static enum verdict make_next(struct work *w, struct err *err)
{
	enum verdict verdict;

	generation_sweep(state_of(w));
	if (!generation_draft(&w->to, state_of(w), err))
		return VERDICT_NOT_STORED;
	verdict = bring_documents(w, err);
	if (verdict == VERDICT_OK)
		verdict = copy_roles_anew(w, err);
	generation_release(&w->to);
	if (verdict == VERDICT_OK && !generation_commit(state_of(w), err))
		verdict = VERDICT_NOT_STORED;
	if (verdict != VERDICT_OK)
		return verdict;
	w->out->changed = true;
	hold_again(w);
	generation_sweep(state_of(w));
	return VERDICT_OK;
}

/* Documents on demand join what is in force, and so do the roles that list them. */
static enum verdict bring_asked(struct work *w, struct err *err)
{
	const json_t *path;
	size_t i;

	if (json_array_size(w->r->targets) == 0)
		return VERDICT_OK;
	if (!generation_hold(&w->to, state_of(w), err))
		return VERDICT_NOT_STORED;
	json_array_foreach (w->r->targets, i, path) {
		enum verdict verdict = VERDICT_OK;

		if (json_is_string(path))
			verdict = ensure_path(w, json_string_value(path), err);
		if (verdict != VERDICT_OK)
			return verdict;
	}
	return copy_roles(w, err);
}

static enum verdict update(struct work *w, struct err *err)
{
	enum verdict verdict = w->r->how == RENEWAL_FULL ? updater_refresh(w->updater, err)
							 : updater_poll(w->updater, err);

	w->out->ran_full = verdict == VERDICT_OK;
	return verdict == VERDICT_UNCHANGED ? VERDICT_OK : verdict;
}

static void move_floor(const struct work *w)
{
	struct updater_state state;
	struct err err;

	updater_state(&state, w->updater);
	if (state.accepted && !localmeta_set_floor(w->newest, state.now_s, &err))
		log_warn("clock floor: %s", err.why);
}

static enum verdict run(struct work *w, struct err *err)
{
	enum verdict verdict = update(w, err);

	if (verdict != VERDICT_OK)
		return verdict;
	move_floor(w);
	if (!has_newest(&w->before, w->newest))
		verdict = make_next(w, err);
	return verdict == VERDICT_OK ? bring_asked(w, err) : verdict;
}

static struct updater *new_updater(const struct work *w)
{
	const struct updater_store store = anchor_store(w->newest);
	const struct updater_options options = {
		.now_s = w->r->now_s,
		.floor_s = localmeta_floor(w->newest),
	};

	return updater_new(&store, w->r->source, &options);
}

enum verdict renewal_run(struct renewal_outcome *out, const struct renewal *r, struct err *err)
{
	struct work w = {
		.r = r,
		.out = out,
		.newest = state_path(r->state, "metadata"),
		.before = GENERATION_EMPTY,
		.to = GENERATION_EMPTY,
	};
	struct updater_state state;
	enum verdict verdict;

	*out = (struct renewal_outcome){ 0 };
	if (!anchor_mend(r->state, err))
		log_warn("the newest root: %s", err->why);
	w.updater = new_updater(&w);
	hold_again(&w);
	verdict = run(&w, err);
	updater_state(&state, w.updater);
	out->root = state.root;
	generation_release(&w.to);
	generation_release(&w.before);
	updater_free(w.updater);
	free(w.newest);
	return verdict;
}
