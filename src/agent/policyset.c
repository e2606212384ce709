#include "agent/policyset.h"

#include <stdlib.h>
#include <string.h>

#include "agent/anchor.h"
#include "agent/generation.h"
#include "common/alloc.h"
#include "common/path.h"
#include "trust/localmeta.h"

struct policyset {
	const struct state *state;
	struct buf root; /* the newest (agent/anchor.h) */
	struct generation in_force;
	struct updater *updater;
	bool withdrawn; /* the newest root no longer vouches for it */
};

static bool load_own(void *ctx, const char *file, size_t max, struct buf *out)
{
	const struct policyset *p = ctx;
	SCOPED_TEXT char *path = path_join(p->in_force.metadata, file);
	struct err ignored;

	return path_read(out, path, max, &ignored);
}

/* The metadata in force, with the newest root in place of its own. */
static bool load_by_newest_root(void *ctx, const char *file, size_t max, struct buf *out)
{
	const struct policyset *p = ctx;

	if (strcmp(file, "root.json") != 0)
		return load_own(ctx, file, max, out);
	buf_put_span(out, buf_span(&p->root));
	return p->root.size <= max;
}

/* The metadata in force by its own root, if that was once the newest here. */
static bool load_by_own_root(void *ctx, const char *file, size_t max, struct buf *out)
{
	const struct policyset *p = ctx;

	return load_own(ctx, file, max, out) &&
	       (strcmp(file, "root.json") != 0 || anchor_has(p->state, buf_span(out)));
}

static int64_t floor_of(const struct state *st)
{
	SCOPED_TEXT char *metadata = state_path(st, "metadata");

	return localmeta_floor(metadata);
}

static enum verdict load_chain(struct policyset *p, const struct updater_store *store,
			       int64_t now_s, struct err *err)
{
	const struct updater_options options = {
		.now_s = now_s,
		.floor_s = floor_of(p->state),
	};

	updater_free(p->updater);
	p->updater = updater_new(store, NULL, &options);
	return updater_load_trusted(p->updater, err);
}

static bool is_good(enum verdict verdict)
{
	return verdict == VERDICT_OK || verdict == VERDICT_UNCHANGED;
}

static bool check_chain(struct policyset *p, int64_t now_s, struct err *err)
{
	const struct updater_store newest = { .load = load_by_newest_root, .ctx = p };
	const struct updater_store own = { .load = load_by_own_root, .ctx = p };
	enum verdict verdict = load_chain(p, &newest, now_s, err);
	struct err ignored;

	if (is_good(verdict))
		return true;
	if (verdict == VERDICT_BELOW_THRESHOLD || verdict == VERDICT_MISSING)
		p->withdrawn = is_good(load_chain(p, &own, now_s, &ignored));
	return p->withdrawn ||
	       err_what(err, "cannot trust the stored policy (%s)", verdict_name(verdict));
}

/* Without a root nothing that is here can be trusted. */
static bool hold(struct policyset *p, const struct state *st, struct err *err)
{
	if (anchor_read(&p->root, st) && generation_hold(&p->in_force, st, err))
		return true;
	err_set(err, ERR_NOT_ENROLLED, "there is no trusted policy in %s yet", st->dir);
	return err_fix(
		err,
		"enrol this machine (packway enroll FILE), or bring a CAP within reach: packway doctor");
}

bool policyset_open(struct policyset **out, const struct state *st, int64_t now_s, struct err *err)
{
	SCOPED(policyset) struct policyset *p = alloc_zeroed(1, sizeof(*p));

	p->in_force = (struct generation)GENERATION_EMPTY;
	p->state = st;
	if (!hold(p, st, err) || !check_chain(p, now_s, err))
		return false;
	*out = p;
	p = NULL;
	return true;
}

void policyset_close(struct policyset *p)
{
	if (p == NULL)
		return;
	updater_free(p->updater);
	generation_release(&p->in_force);
	buf_release(&p->root);
	free(p);
}

int64_t policyset_clock_behind(const struct state *st, int64_t now_s)
{
	return MAX_OF(floor_of(st) - now_s, 0);
}

void policyset_state(struct updater_state *out, struct policyset *p)
{
	updater_state(out, p->updater);
	if (!p->withdrawn || out->expires <= out->now_s)
		return;
	out->expires = out->now_s;
	out->expires_role = "root";
}

static bool say_not_here(struct err *err, const char *path, const char *why)
{
	err_set(err, ERR_NOT_FOUND, "%s is not here in its current form yet (%s)", path, why);
	return err_fix(err, "let it be fetched: packway sync");
}

/*
 * A role that is not here (a bin that nothing here needed so far) comes with what is asked of it;
 * one that is damaged is as good as not here.
 */
static bool find(struct updater_target *out, struct policyset *p, const char *path, struct err *err)
{
	enum verdict verdict = updater_find_target(p->updater, path, out, err);

	if (verdict == VERDICT_OK)
		return true;
	if (verdict == VERDICT_TARGET_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "the site's policy has no %s", path);
	return say_not_here(err, path, verdict_name(verdict));
}

bool policyset_read(struct buf *out, struct policyset *p, const char *path, struct err *err)
{
	SCOPED_TEXT char *file = path_join(p->in_force.targets, path);
	struct updater_target target;

	if (!find(&target, p, path, err) ||
	    !path_read(out, file, (size_t)target.listing.length, err))
		return false;
	if (updater_target_matches(&target, buf_span(out)))
		return true;
	buf_clear(out);
	return say_not_here(err, path, "the file is another");
}

bool policyset_may_have(struct policyset *p, const char *path)
{
	struct updater_target target;
	struct err ignored;
	enum verdict verdict = updater_find_target(p->updater, path, &target, &ignored);

	return verdict != VERDICT_TARGET_NOT_FOUND;
}

bool policyset_site(struct docs_site *out, struct policyset *p, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	return policyset_read(&bytes, p, DOCS_PATH_SITE, err) &&
	       docs_site_parse(out, buf_span(&bytes), err);
}

bool policyset_group(struct docs_group *out, struct policyset *p, const char *name, struct err *err)
{
	SCOPED_TEXT char *path = docs_path_group(name);
	SCOPED(buf) struct buf bytes = { 0 };

	return policyset_read(&bytes, p, path, err) && docs_group_parse(out, buf_span(&bytes), err);
}

/* A document in another's place is refused, although it is signed. */
static bool is_of(const char *got, const char *want, struct err *err)
{
	return strcmp(got, want) == 0 ||
	       err_set(err, ERR_TRUST, "the document for %s speaks of %s", want, got);
}

bool policyset_package(struct docs_package *out, struct policyset *p, const char *id,
		       struct err *err)
{
	SCOPED_TEXT char *path = docs_path_package(id);
	SCOPED(buf) struct buf bytes = { 0 };

	if (!policyset_read(&bytes, p, path, err) ||
	    !docs_package_parse(out, buf_span(&bytes), err))
		return false;
	if (is_of(out->id, id, err))
		return true;
	docs_package_release(out);
	return false;
}

bool policyset_location(struct docs_location *out, struct policyset *p, const char *id,
			struct err *err)
{
	SCOPED_TEXT char *path = docs_path_location(id);
	SCOPED(buf) struct buf bytes = { 0 };

	if (!policyset_read(&bytes, p, path, err) ||
	    !docs_location_parse(out, buf_span(&bytes), err))
		return false;
	if (is_of(out->package, id, err))
		return true;
	docs_location_release(out);
	return false;
}
