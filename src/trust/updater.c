#include "trust/updater.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "trust/filehash.h"
#include "trust/rolename.h"
#include "trust/targetsearch.h"
#include "trust/trustset.h"
#include "trust/verify.h"

#define DAY_S 86400

struct updater {
	struct updater_store store;
	struct updater_source source; /* fetch is NULL: offline */
	int64_t now_s;
	enum updater_clock clock;
	struct trustset *set;
	struct buf polled; /* a timestamp that was fetched ahead of the roots */
	bool has_polled;
	bool root_changed;
	bool accepted;
};

struct updater *updater_new(const struct updater_store *store, const struct updater_source *source,
			    const struct updater_options *options)
{
	struct updater *u = alloc_zeroed(1, sizeof(*u));

	u->store = *store;
	if (source != NULL)
		u->source = *source;
	u->now_s = MAX_OF(options->now_s, options->floor_s);
	if (u->now_s - options->now_s > DAY_S)
		u->clock = UPDATER_CLOCK_FAR_BEHIND;
	else if (u->now_s > options->now_s)
		u->clock = UPDATER_CLOCK_BEHIND;
	u->set = trustset_new(u->now_s, TRUSTSET_STRICT);
	return u;
}

void updater_free(struct updater *u)
{
	if (u == NULL)
		return;
	trustset_free(u->set);
	buf_release(&u->polled);
	free(u);
}

static bool is_offline(const struct updater *u)
{
	return u->source.fetch == NULL;
}

static void start_over(struct updater *u, enum trustset_mode mode)
{
	trustset_free(u->set);
	u->set = trustset_new(u->now_s, mode);
	u->root_changed = false;
}

/* The stored file of a role; false if there is none. */
static bool load(struct updater *u, const char *name, enum role_kind kind, struct buf *out)
{
	SCOPED_TEXT char *file = rolename_file(name);

	buf_clear(out);
	return u->store.load(u->store.ctx, file, role_kind_max(kind), out);
}

static enum verdict save(struct updater *u, const char *name, const struct buf *bytes,
			 struct err *err)
{
	SCOPED_TEXT char *file = rolename_file(name);

	return u->store.save(u->store.ctx, file, buf_span(bytes), err) ? VERDICT_OK
								       : VERDICT_NOT_STORED;
}

static enum verdict discard(struct updater *u, const char *name, struct err *err)
{
	SCOPED_TEXT char *file = rolename_file(name);

	return u->store.remove(u->store.ctx, file, err) ? VERDICT_OK : VERDICT_NOT_STORED;
}

static enum verdict fetch(struct updater *u, const struct updater_request *request, struct buf *out,
			  struct err *err)
{
	enum updater_fetched fetched;

	buf_clear(out);
	fetched = u->source.fetch(u->source.ctx, request, out, err);
	/* A source that breaks its promise is no better than a server that does. */
	if (fetched == UPDATER_GOT && out->size > request->max)
		fetched = UPDATER_TOO_LARGE;
	switch (fetched) {
	case UPDATER_GOT:
		return VERDICT_OK;
	case UPDATER_TOO_LARGE:
		return verdict_set(err, VERDICT_TOO_LARGE, "%s has more than the %zu bytes allowed",
				   request->path, request->max);
	case UPDATER_UNCHANGED:
		if (request->if_changed)
			return VERDICT_UNCHANGED;
		return verdict_set(err, VERDICT_MISSING, "the server did not send %s",
				   request->path);
	case UPDATER_NOT_FOUND:
		return verdict_set(err, VERDICT_MISSING, "the server has no %s", request->path);
	case UPDATER_SLOW:
		return verdict_wrap(err, VERDICT_SLOW, request->path);
	case UPDATER_FAILED:
	default:
		return VERDICT_UNREACHABLE;
	}
}

/* Fetch a metadata file; `version` 0 asks for the unversioned name. */
static enum verdict fetch_role(struct updater *u, const char *name, int64_t version, size_t max,
			       struct buf *out, struct err *err)
{
	SCOPED_TEXT char *path = rolename_url(name, version);
	struct updater_request request = { .base = UPDATER_METADATA, .path = path, .max = max };

	return fetch(u, &request, out, err);
}

/* Fetch what a snapshot or timestamp lists, by its version where the repository keeps all. */
static enum verdict fetch_listed(struct updater *u, const char *name, enum role_kind kind,
				 const struct role_listing *listing, struct buf *out,
				 struct err *err)
{
	bool consistent = trustset_root(u->set)->consistent_snapshot;
	size_t max = role_kind_max(kind);

	if (listing->length > (int64_t)max)
		return verdict_set(err, VERDICT_TOO_LARGE,
				   "%s is listed with more than the %zu bytes allowed", name, max);
	if (listing->length >= 0)
		max = (size_t)listing->length;
	return fetch_role(u, name, consistent ? listing->version : 0, max, out, err);
}

static enum verdict load_root(struct updater *u, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	if (!load(u, "root", ROLE_ROOT, &bytes))
		return verdict_set(err, VERDICT_NO_ROOT, "there is no trusted root");
	if (trustset_load_root(u->set, buf_span(&bytes), err) != VERDICT_OK)
		return verdict_wrap(err, VERDICT_NO_ROOT, "the stored root is of no use");
	return VERDICT_OK;
}

/*
 * Withdrawn keys make the stored timestamp and snapshot worthless. They go before the new root is
 * stored: a kill in between must not leave them beside a root that no longer tells of the change.
 */
static enum verdict save_root(struct updater *u, bool revoked, const struct buf *bytes,
			      struct err *err)
{
	enum verdict verdict = VERDICT_OK;

	if (revoked)
		verdict = discard(u, "timestamp", err);
	if (revoked && verdict == VERDICT_OK)
		verdict = discard(u, "snapshot", err);
	return verdict == VERDICT_OK ? save(u, "root", bytes, err) : verdict;
}

static enum verdict update_roots(struct updater *u, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	enum verdict verdict = VERDICT_OK;

	for (size_t i = 0; i < UPDATER_ROOTS_MAX && verdict == VERDICT_OK; i++) {
		bool revoked = false;

		verdict = fetch_role(u, "root", trustset_root(u->set)->version + 1, ROLE_ROOT_MAX,
				     &bytes, err);
		if (verdict == VERDICT_OK)
			verdict = trustset_update_root(u->set, buf_span(&bytes), &revoked, err);
		else if (verdict == VERDICT_MISSING)
			break; /* the one held is the newest */
		if (verdict == VERDICT_OK)
			verdict = save_root(u, revoked, &bytes, err);
		u->root_changed = true;
	}
	if (verdict != VERDICT_OK && verdict != VERDICT_MISSING)
		return verdict;
	return trustset_root_life(u->set, err);
}

static enum verdict accept_timestamp(struct updater *u, const struct buf *bytes, struct err *err)
{
	enum verdict verdict = trustset_update_timestamp(u->set, buf_span(bytes), err);

	if (verdict == VERDICT_UNCHANGED)
		return trustset_timestamp_life(u->set, err);
	if (verdict != VERDICT_OK)
		return verdict;
	u->accepted = true;
	return save(u, "timestamp", bytes, err);
}

static enum verdict fetch_timestamp(struct updater *u, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	enum verdict verdict = fetch_role(u, "timestamp", 0, ROLE_TIMESTAMP_MAX, &bytes, err);

	return verdict == VERDICT_OK ? accept_timestamp(u, &bytes, err) : verdict;
}

static void load_timestamp(struct updater *u)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct err ignored;

	/* One that the root's keys did not sign is as good as none. */
	if (load(u, "timestamp", ROLE_TIMESTAMP, &bytes))
		(void)!trustset_load_timestamp(u->set, buf_span(&bytes), &ignored);
}

static enum verdict update_timestamp(struct updater *u, struct err *err)
{
	enum verdict verdict;

	load_timestamp(u);
	if (!u->has_polled)
		return fetch_timestamp(u, err);
	u->has_polled = false;
	verdict = accept_timestamp(u, &u->polled, err);
	/* The polled one may be older than the root that has just come: ask again. */
	if (verdict == VERDICT_BELOW_THRESHOLD && u->root_changed)
		return fetch_timestamp(u, err);
	return verdict;
}

static enum verdict load_snapshot(struct updater *u, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	if (!load(u, "snapshot", ROLE_SNAPSHOT, &bytes))
		return verdict_set(err, VERDICT_MISSING, "there is no trusted snapshot");
	return trustset_load_snapshot(u->set, buf_span(&bytes), err);
}

static enum verdict update_snapshot(struct updater *u, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct role_listing listing;
	enum verdict verdict = load_snapshot(u, err);

	if (verdict == VERDICT_OK)
		return VERDICT_OK;
	if (!role_listing_find(&listing, trustset_timestamp(u->set), "snapshot.json"))
		return VERDICT_MALFORMED; /* role_parse lets no such timestamp through */
	verdict = fetch_listed(u, "snapshot", ROLE_SNAPSHOT, &listing, &bytes, err);
	if (verdict == VERDICT_OK)
		verdict = trustset_update_snapshot(u->set, buf_span(&bytes), err);
	return verdict == VERDICT_OK ? save(u, "snapshot", &bytes, err) : verdict;
}

static enum verdict load_targets(struct updater *u, const char *name,
				 const struct role_signers *signers, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	if (!load(u, name, ROLE_TARGETS, &bytes))
		return verdict_set(err, VERDICT_MISSING, "role %s is not stored", name);
	return trustset_add_targets(u->set, name, signers, buf_span(&bytes), err);
}

static enum verdict update_targets(struct updater *u, const char *name,
				   const struct role_signers *signers, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct role_listing listing;
	enum verdict verdict = trustset_listing(u->set, name, &listing, err);

	if (verdict != VERDICT_OK)
		return verdict;
	verdict = load_targets(u, name, signers, err);
	if (verdict == VERDICT_OK || is_offline(u))
		return verdict;
	verdict = fetch_listed(u, name, ROLE_TARGETS, &listing, &bytes, err);
	if (verdict == VERDICT_OK)
		verdict = trustset_add_targets(u->set, name, signers, buf_span(&bytes), err);
	return verdict == VERDICT_OK ? save(u, name, &bytes, err) : verdict;
}

enum verdict updater_targets_role(struct updater *u, const char *name,
				  const struct role_signers *signers, const struct role **out,
				  struct err *err)
{
	enum verdict verdict;

	*out = trustset_find_targets(u->set, name, signers);
	if (*out != NULL)
		return VERDICT_OK;
	verdict = update_targets(u, name, signers, err);
	if (verdict == VERDICT_OK)
		*out = trustset_find_targets(u->set, name, signers);
	return verdict;
}

const char *updater_targets_name(const struct updater *u, const struct role *role)
{
	return trustset_name(u->set, role);
}

const struct role_signers *updater_targets_signers(const struct updater *u)
{
	assert(trustset_snapshot(u->set) != NULL);
	return &trustset_root(u->set)->top[ROLE_TARGETS];
}

/* The top-level targets role ends every way of getting a usable set. */
static enum verdict finish_targets(struct updater *u, struct err *err)
{
	const struct role *targets;

	return updater_targets_role(u, "targets", updater_targets_signers(u), &targets, err);
}

enum verdict updater_refresh(struct updater *u, struct err *err)
{
	enum verdict verdict;

	assert(!is_offline(u));
	start_over(u, TRUSTSET_STRICT);
	verdict = load_root(u, err);
	if (verdict == VERDICT_OK)
		verdict = update_roots(u, err);
	if (verdict == VERDICT_OK)
		verdict = update_timestamp(u, err);
	if (verdict == VERDICT_OK)
		verdict = update_snapshot(u, err);
	return verdict == VERDICT_OK ? finish_targets(u, err) : verdict;
}

/* Load the whole stored chain; VERDICT_OK if nothing in it needs a server. */
static enum verdict load_chain(struct updater *u, enum trustset_mode mode, struct err *err)
{
	enum verdict verdict;

	start_over(u, mode);
	verdict = load_root(u, err);
	if (verdict != VERDICT_OK)
		return verdict;
	load_timestamp(u);
	if (trustset_timestamp(u->set) == NULL)
		return verdict_set(err, VERDICT_MISSING, "there is no trusted timestamp");
	verdict = load_snapshot(u, err);
	if (verdict == VERDICT_OK)
		verdict = load_targets(u, "targets", updater_targets_signers(u), err);
	if (mode == TRUSTSET_LENIENT || verdict != VERDICT_OK)
		return verdict;
	verdict = trustset_root_life(u->set, err);
	return verdict == VERDICT_OK ? trustset_timestamp_life(u->set, err) : verdict;
}

static bool is_stored_timestamp(struct updater *u, const struct buf *bytes)
{
	SCOPED(buf) struct buf stored = { 0 };

	return load(u, "timestamp", ROLE_TIMESTAMP, &stored) &&
	       span_equal(buf_span(&stored), buf_span(bytes));
}

enum verdict updater_poll(struct updater *u, struct err *err)
{
	const struct updater_request request = { .base = UPDATER_METADATA,
						 .path = "timestamp.json",
						 .max = ROLE_TIMESTAMP_MAX,
						 .if_changed = true };
	enum verdict verdict;

	assert(!is_offline(u));
	/* A set that needs mending must not be talked out of it by a server's "not modified". */
	if (load_chain(u, TRUSTSET_STRICT, err) != VERDICT_OK)
		return updater_refresh(u, err);
	verdict = fetch(u, &request, &u->polled, err);
	if (verdict == VERDICT_OK && is_stored_timestamp(u, &u->polled))
		return VERDICT_UNCHANGED;
	if (verdict != VERDICT_OK)
		return verdict;
	u->has_polled = true;
	return updater_refresh(u, err);
}

enum verdict updater_load_trusted(struct updater *u, struct err *err)
{
	u->source.fetch = NULL;
	return load_chain(u, TRUSTSET_LENIENT, err);
}

enum verdict updater_find_target(struct updater *u, const char *path, struct updater_target *out,
				 struct err *err)
{
	return targetsearch_find(u, path, out, err);
}

enum verdict updater_each_target(struct updater *u, const char *role,
				 bool (*each)(void *ctx, const struct updater_target *target),
				 void *ctx, struct err *err)
{
	return targetsearch_each(u, role, each, ctx, err);
}

enum verdict updater_hold_role(struct updater *u, const char *role, struct err *err)
{
	return targetsearch_hold(u, role, err);
}

enum verdict updater_fetch_target(struct updater *u, const struct updater_target *target,
				  struct buf *out, struct err *err)
{
	bool consistent = trustset_root(u->set)->consistent_snapshot;
	SCOPED_TEXT char *url = rolename_target_url(
		target->path, consistent ? filehash_for_name(target->listing.hashes) : NULL);
	struct updater_request request = { .base = UPDATER_TARGETS, .path = url };
	enum verdict verdict;

	assert(!is_offline(u));
	if (url == NULL)
		return verdict_set(err, VERDICT_MALFORMED, "no file can have the path %s",
				   target->path);
	if (target->listing.length > (int64_t)UPDATER_TARGET_MAX)
		return verdict_set(err, VERDICT_TOO_LARGE, "%s has more than the %zu bytes allowed",
				   target->path, UPDATER_TARGET_MAX);
	request.max = (size_t)target->listing.length;
	verdict = fetch(u, &request, out, err);
	if (verdict == VERDICT_OK)
		verdict = verify_target(&target->listing, target->path, buf_span(out), err);
	if (verdict != VERDICT_OK)
		buf_clear(out);
	return verdict;
}

bool updater_target_matches(const struct updater_target *target, struct span bytes)
{
	struct err ignored;

	return verify_target(&target->listing, target->path, bytes, &ignored) == VERDICT_OK;
}

static bool tell_file(const char *name, bool (*each)(void *ctx, const char *file), void *ctx)
{
	SCOPED_TEXT char *file = rolename_file(name);

	return each(ctx, file);
}

bool updater_each_file(const struct updater *u, bool (*each)(void *ctx, const char *file),
		       void *ctx)
{
	const char *name;

	if ((trustset_root(u->set) != NULL && !tell_file("root", each, ctx)) ||
	    (trustset_timestamp(u->set) != NULL && !tell_file("timestamp", each, ctx)) ||
	    (trustset_snapshot(u->set) != NULL && !tell_file("snapshot", each, ctx)))
		return false;
	for (size_t i = 0; (name = trustset_targets_name(u->set, i)) != NULL; i++)
		if (!tell_file(name, each, ctx))
			return false;
	return true;
}

static int64_t version_of(const struct role *role)
{
	return role != NULL ? role->version : 0;
}

void updater_state(struct updater_state *out, const struct updater *u)
{
	const struct role *targets = NULL;

	if (trustset_snapshot(u->set) != NULL)
		targets = trustset_find_targets(u->set, "targets", updater_targets_signers(u));
	*out = (struct updater_state){
		.root = version_of(trustset_root(u->set)),
		.timestamp = version_of(trustset_timestamp(u->set)),
		.snapshot = version_of(trustset_snapshot(u->set)),
		.targets = version_of(targets),
		.now_s = u->now_s,
		.clock = u->clock,
		.accepted = u->accepted,
		.stale = trustset_is_stale(u->set),
	};
	out->expires = trustset_expires(u->set, &out->expires_role);
}
