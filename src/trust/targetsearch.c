#include "trust/targetsearch.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"

/* A role that is to be visited, and whose signatures its delegator demands. */
struct stop {
	char *name;
	const struct role_signers *signers;
};

struct stops {
	struct stop *list;
	size_t count;
};

static void stops_push(struct stops *s, char *name, const struct role_signers *signers)
{
	ALLOC_GROW(s->list, s->count);
	s->list[s->count++] = (struct stop){ .name = name, .signers = signers };
}

static void stops_clear(struct stops *s)
{
	while (s->count > 0)
		free(s->list[--s->count].name);
}

static void stops_release(struct stops *s)
{
	stops_clear(s);
	free(s->list);
	*s = (struct stops){ 0 };
}
SCOPED_RELEASE(stops);

static bool stops_has(const struct stops *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->list[i].name, name) == 0)
			return true;
	return false;
}

struct search {
	const char *path;
	struct digest path_digest;
	struct stops visited;
	struct stops pending; /* the next one is the last */
};

static void search_release(struct search *s)
{
	stops_release(&s->visited);
	stops_release(&s->pending);
}
SCOPED_RELEASE(search);

/*
 * The delegations of `role` that cover the path, in order. A terminating one is the last, and
 * whatever waited from further up is not visited any more. No more are listed than can still be
 * visited.
 */
static void list_children(struct search *s, const struct role *role, struct stops *children)
{
	for (size_t i = 0; i < role->delegation_count; i++) {
		const struct role_delegation *d = &role->delegations[i];

		if (children->count > UPDATER_DELEGATIONS_MAX)
			return;
		if (!role_delegation_covers(d, s->path, &s->path_digest))
			continue;
		stops_push(children, role_delegation_name(d, &s->path_digest), &d->signers);
		if (d->terminating) {
			stops_clear(&s->pending);
			return;
		}
	}
}

/* Reversed, so that the first child is taken next. */
static void push_children(struct search *s, const struct role *role)
{
	SCOPED(stops) struct stops children = { 0 };

	list_children(s, role, &children);
	while (children.count > 0) {
		struct stop *child = &children.list[--children.count];

		stops_push(&s->pending, child->name, child->signers);
	}
}

/* Visit the next role. VERDICT_OK with `*found_out` NULL: not here, go on. */
static enum verdict visit(struct updater *u, struct search *s, struct stop stop,
			  struct updater_target *out, const struct role **found_out,
			  struct err *err)
{
	const struct role *role = NULL;
	enum verdict verdict = updater_targets_role(u, stop.name, stop.signers, &role, err);

	if (verdict != VERDICT_OK)
		return verdict;
	if (role_target_find(&out->listing, role, s->path)) {
		*found_out = role;
		return VERDICT_OK;
	}
	push_children(s, role);
	return VERDICT_OK;
}

/* Take the next pending role that was not visited yet; false if there is none or the cap is
 * reached. */
static bool next_stop(struct search *s, struct stop *out)
{
	/* The top-level role is not a delegated one: hence one more. */
	if (s->visited.count > UPDATER_DELEGATIONS_MAX)
		return false;
	while (s->pending.count > 0) {
		struct stop stop = s->pending.list[--s->pending.count];

		if (!stops_has(&s->visited, stop.name)) {
			stops_push(&s->visited, stop.name, stop.signers);
			*out = stop;
			return true;
		}
		free(stop.name);
	}
	return false;
}

/* Where the search for `path` ends: a role, or NULL for not found. */
static enum verdict find(struct updater *u, const char *path, struct updater_target *out,
			 const struct role **found_out, struct err *err)
{
	SCOPED(search) struct search s = { .path = path };
	enum verdict verdict = VERDICT_OK;
	struct stop stop;

	*found_out = NULL;
	digest_of(&s.path_digest, span_of_text(path));
	stops_push(&s.pending, alloc_text("targets"), updater_targets_signers(u));
	while (verdict == VERDICT_OK && *found_out == NULL && next_stop(&s, &stop))
		verdict = visit(u, &s, stop, out, found_out, err);
	return verdict;
}

enum verdict targetsearch_find(struct updater *u, const char *path, struct updater_target *out,
			       struct err *err)
{
	const struct role *found;
	enum verdict verdict = find(u, path, out, &found, err);

	if (verdict != VERDICT_OK)
		return verdict;
	if (found == NULL)
		return verdict_set(err, VERDICT_TARGET_NOT_FOUND, "no trusted role lists %s", path);
	out->path = path;
	out->role = updater_targets_name(u, found);
	return VERDICT_OK;
}

/* Report what `role` lists and a search would find in it. */
static enum verdict report_role(struct updater *u, const struct role *role,
				bool (*each)(void *ctx, const struct updater_target *target),
				void *ctx, bool *go_on, struct err *err)
{
	struct updater_target target = { .role = updater_targets_name(u, role) };
	const struct role *found;
	json_t *entry;

	json_object_foreach ((json_t *)(uintptr_t)role->files, target.path, entry) {
		enum verdict verdict = find(u, target.path, &target, &found, err);

		if (verdict != VERDICT_OK)
			return verdict;
		if (found == role && !each(ctx, &target)) {
			*go_on = false;
			break;
		}
	}
	return VERDICT_OK;
}

/* All roles that `d` stands for: one, or one for each bin. */
static void push_delegation(struct stops *pending, const struct role_delegation *d)
{
	uint64_t bins = d->name != NULL ? 1 : (uint64_t)1 << d->bin_bits;

	for (uint64_t i = 0; i < bins && pending->count < ROLE_DELEGATIONS_MAX; i++) {
		uint32_t lead = (uint32_t)(i << (32 - (d->name != NULL ? 32 : d->bin_bits)));
		struct digest at = { .bytes = { (uint8_t)(lead >> 24), (uint8_t)(lead >> 16),
						(uint8_t)(lead >> 8), (uint8_t)lead } };

		stops_push(pending, role_delegation_name(d, &at), &d->signers);
	}
}

/* Where the listing of `name` starts: the top-level role, or one that it delegates to. */
static enum verdict push_start(struct updater *u, struct stops *pending, const char *name,
			       struct err *err)
{
	const struct role_signers *signers = updater_targets_signers(u);
	const struct role *targets = NULL;
	enum verdict verdict;

	if (strcmp(name, "targets") == 0) {
		stops_push(pending, alloc_text(name), signers);
		return VERDICT_OK;
	}
	verdict = updater_targets_role(u, "targets", signers, &targets, err);
	if (verdict != VERDICT_OK)
		return verdict;
	for (size_t i = 0; i < targets->delegation_count; i++) {
		const struct role_delegation *d = &targets->delegations[i];

		if (d->name != NULL && strcmp(d->name, name) == 0) {
			push_delegation(pending, d);
			return VERDICT_OK;
		}
	}
	return verdict_set(err, VERDICT_MISSING_TARGET_ROLE, "targets does not delegate to %s",
			   name);
}

enum verdict targetsearch_each(struct updater *u, const char *role,
			       bool (*each)(void *ctx, const struct updater_target *target),
			       void *ctx, struct err *err)
{
	SCOPED(search) struct search s = { 0 };
	enum verdict verdict = push_start(u, &s.pending, role, err);
	bool go_on = true;

	while (verdict == VERDICT_OK && go_on && s.pending.count > 0 &&
	       s.visited.count < ROLE_DELEGATIONS_MAX) {
		struct stop stop = s.pending.list[--s.pending.count];
		const struct role *at = NULL;

		if (stops_has(&s.visited, stop.name)) {
			free(stop.name);
			continue;
		}
		stops_push(&s.visited, stop.name, stop.signers);
		verdict = updater_targets_role(u, stop.name, stop.signers, &at, err);
		if (verdict != VERDICT_OK)
			break;
		verdict = report_role(u, at, each, ctx, &go_on, err);
		for (size_t i = at->delegation_count; i-- > 0;)
			push_delegation(&s.pending, &at->delegations[i]);
	}
	return verdict;
}

enum verdict targetsearch_hold(struct updater *u, const char *role, struct err *err)
{
	SCOPED(stops) struct stops start = { 0 };
	const struct role *held;
	enum verdict verdict = push_start(u, &start, role, err);

	for (size_t i = 0; i < start.count && verdict == VERDICT_OK; i++)
		verdict = updater_targets_role(u, start.list[i].name, start.list[i].signers, &held,
					       err);
	return verdict;
}
