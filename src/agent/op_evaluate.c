/*
 * The operation `evaluate`: what is this client's, by verified policy alone. Runs in a child
 * without network; its answer is all that the supervisor acts on.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/op.h"
#include "agent/policyset.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "policy/membership.h"

struct evaluation {
	struct worker *w;
	struct policyset *policy;
	struct membership *members;
	const char *client;
	json_t *assignments;
	json_t *refused;
	json_t *missing;     /* target paths that a refresh must bring first */
	json_t *collections; /* name → verdict of those met so far */
};

static void note_missing(struct evaluation *e, const char *path)
{
	json_array_append_new(e->missing, jsondoc_new_text(path));
}

static void refuse(struct evaluation *e, const char *advertisement, const char *reason)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "advertisement", advertisement);
	jsondoc_set_text(row, "reason", reason);
	json_array_append_new(e->refused, row);
}

/* Evaluate every collection of one bin and remember who belongs. */
static void read_collections(struct evaluation *e, unsigned int bin)
{
	SCOPED_TEXT char *path = docs_path_collections(bin);
	SCOPED(docs_collections) struct docs_collections doc = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	if (!policyset_may_have(e->policy, path))
		return;
	if (!policyset_read(&bytes, e->policy, path, &err)) {
		note_missing(e, path);
		return;
	}
	if (!docs_collections_parse(&doc, buf_span(&bytes), &err)) {
		log_warn("%s: %s", path, err.why);
		return;
	}
	for (size_t i = 0; i < doc.count; i++) {
		char reason[MEMBERSHIP_REASON_MAX] = "";
		enum membership_result result = membership_evaluate(e->members, &doc.items[i],
								    reason);

		jsondoc_set_text(e->collections, doc.items[i].name,
				 result == MEMBERSHIP_MEMBER  ? ""
				 : result == MEMBERSHIP_ERROR ? reason
							      : "not a member");
	}
}

static json_t *new_codes(const int64_t *codes, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_integer(codes[i]));
	return array;
}

static void set_optional_time(json_t *row, const char *key, int64_t unix_s)
{
	if (unix_s == DOCS_NEVER)
		jsondoc_set(row, key, json_null());
	else
		jsondoc_set_time(row, key, unix_s);
}

static json_t *new_after(const struct docs_program *p)
{
	json_t *after;

	if (p->after_package == NULL)
		return json_null();
	after = json_object();
	jsondoc_set_text(after, "package", p->after_package);
	jsondoc_set_text(after, "program", p->after_program);
	return after;
}

static json_t *new_assignment(const struct docs_advertisement *a, const struct docs_package *pkg,
			      const struct docs_program *p)
{
	const struct docs_version *v = docs_package_version(pkg, a->version);
	json_t *row = json_object();

	jsondoc_set_text(row, "advertisement", a->id);
	jsondoc_set_int(row, "serial", a->serial);
	jsondoc_set_text(row, "package", a->package);
	jsondoc_set_int(row, "version", a->version);
	jsondoc_set_text(row, "program", a->program);
	jsondoc_set_text(row, "command", p->command);
	jsondoc_set_int(row, "timeout_s", p->timeout_s);
	jsondoc_set(row, "success", new_codes(p->success, p->success_count));
	jsondoc_set(row, "restart", new_codes(p->restart, p->restart_count));
	jsondoc_set(row, "run_after", new_after(p));
	jsondoc_set_text(row, "rerun", docs_rerun_name(p->rerun));
	jsondoc_set_text(row, "as", p->as);
	jsondoc_set_text(row, "mount", p->mount);
	jsondoc_set_flag(row, "keep", p->keep);
	jsondoc_set_text(row, "state", a->stopped ? "stopped" : "active");
	set_optional_time(row, "available", a->available_s);
	set_optional_time(row, "mandatory", a->mandatory_s);
	set_optional_time(row, "expires", a->expires_s);
	jsondoc_set_text(row, "window", a->window);
	jsondoc_set_text(row, "offer_to", a->offer_to);
	jsondoc_set_text(row, "manifest", v->manifest);
	return row;
}

/* A program runs only if an assignment names it and the package's own role signs it. */
static void assign(struct evaluation *e, const struct docs_advertisement *a)
{
	SCOPED(docs_package) struct docs_package pkg = { 0 };
	SCOPED_TEXT char *path = docs_path_package(a->package);
	const struct docs_program *program;
	struct err err;

	if (!policyset_may_have(e->policy, path)) {
		refuse(e, a->id, "its package is not in the site's policy");
		return;
	}
	if (!policyset_package(&pkg, e->policy, a->package, &err)) {
		if (err.code == ERR_NOT_FOUND)
			note_missing(e, path);
		else
			refuse(e, a->id, err.why);
		return;
	}
	program = docs_package_program(&pkg, a->program);
	if (program == NULL)
		refuse(e, a->id, "its package has no such program");
	else if (docs_package_version(&pkg, a->version) == NULL)
		refuse(e, a->id, "its package has no such version");
	else
		json_array_append_new(e->assignments, new_assignment(a, &pkg, program));
}

static void judge(struct evaluation *e, const struct docs_advertisement *a)
{
	const char *verdict = jsondoc_text(e->collections, a->collection);

	/* An error in one collection's text is its own affair (Q245170): not a member, and told. */
	if (verdict == NULL)
		refuse(e, a->id, "its collection is not in the site's policy");
	else if (verdict[0] == '\0')
		assign(e, a);
	else if (strcmp(verdict, "not a member") != 0)
		refuse(e, a->id, verdict);
}

static void read_advertisements(struct evaluation *e, unsigned int bin)
{
	SCOPED_TEXT char *path = docs_path_advertisements(bin);
	SCOPED(docs_advertisements) struct docs_advertisements doc = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	if (!policyset_may_have(e->policy, path))
		return;
	if (!policyset_read(&bytes, e->policy, path, &err)) {
		note_missing(e, path);
		return;
	}
	if (!docs_advertisements_parse(&doc, buf_span(&bytes), &err)) {
		log_warn("%s: %s", path, err.why);
		return;
	}
	for (size_t i = 0; i < doc.count; i++)
		judge(e, &doc.items[i]);
}

static json_t *new_trusted(struct policyset *policy, int64_t now_s)
{
	json_t *trusted = json_object();
	struct updater_state state;

	policyset_state(&state, policy);
	jsondoc_set_int(trusted, "root", state.root);
	jsondoc_set_int(trusted, "timestamp", state.timestamp);
	jsondoc_set_int(trusted, "snapshot", state.snapshot);
	jsondoc_set_int(trusted, "targets", state.targets);
	jsondoc_set_time(trusted, "expires", state.expires);
	jsondoc_set_text(trusted, "expires_role", state.expires_role);
	jsondoc_set_flag(trusted, "fresh", state.expires > state.now_s && !state.stale);
	jsondoc_set_flag(trusted, "clock_far_behind", state.clock == UPDATER_CLOCK_FAR_BEHIND);
	jsondoc_set_time(trusted, "time", now_s);
	return trusted;
}

static bool open_members(struct evaluation *e, const json_t *inventory, struct err *err)
{
	return membership_new(&e->members, e->client, err) &&
	       membership_load(e->members, inventory, err);
}

static bool evaluate(json_t *result, struct evaluation *e, const json_t *inventory, struct err *err)
{
	SCOPED(docs_site) struct docs_site site = { 0 };
	int64_t now_s = clock_wall_s(e->w->clock);

	if (!open_members(e, inventory, err))
		return false;
	if (policyset_site(&site, e->policy, err)) {
		jsondoc_set_text(result, "site", site.site);
		jsondoc_set_int(result, "poll_s", site.poll_s);
	} else {
		note_missing(e, DOCS_PATH_SITE);
	}
	for (unsigned int bin = 0; bin < DOCS_BINS; bin++)
		read_collections(e, bin);
	for (unsigned int bin = 0; bin < DOCS_BINS; bin++)
		read_advertisements(e, bin);
	jsondoc_set_int(result, "format", 1);
	jsondoc_set_time(result, "time", now_s);
	jsondoc_set(result, "trusted", new_trusted(e->policy, now_s));
	jsondoc_set(result, "assignments", json_incref(e->assignments));
	jsondoc_set(result, "refused", json_incref(e->refused));
	jsondoc_set(result, "missing", json_incref(e->missing));
	return true;
}

bool op_evaluate(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	struct evaluation e = { .w = w };
	json_t *inventory;
	bool done;

	if (!jsondoc_need_text(&e.client, request, "client", err) ||
	    !jsondoc_need_object(&inventory, request, "inventory", err) ||
	    !policyset_open(&e.policy, &w->state, clock_wall_s(w->clock), err))
		return false;
	e.assignments = json_array();
	e.refused = json_array();
	e.missing = json_array();
	e.collections = json_object();
	*result_out = json_object();
	done = evaluate(*result_out, &e, inventory, err);
	if (!done) {
		json_decref(*result_out);
		*result_out = NULL;
	}
	json_decref(e.assignments);
	json_decref(e.refused);
	json_decref(e.missing);
	json_decref(e.collections);
	membership_free(e.members);
	policyset_close(e.policy);
	return done;
}
