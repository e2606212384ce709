/*
 * The operation `refresh`: bring the site's metadata and policy documents up to date from the first
 * CAP that serves what verifies. Whatever fails, what was trusted stays in force.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/approach.h"
#include "agent/generation.h"
#include "agent/op.h"
#include "agent/policyset.h"
#include "agent/renewal.h"
#include "agent/scene.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/message.h"
#include "common/path.h"

#define FULL_EVERY_S   (24 * 3600)
#define LOCK_WAIT_MS   120000
#define POLL_DEFAULT_S 900

struct refresh {
	struct worker *w;
	const json_t *request;
	struct way *way;
	const char *cap;            /* its name */
	const char *address;        /* and where it was reached */
	json_t *cap_doc;            /* STATE/cap.json: what the last refresh left */
	char token[WAY_TOKEN_SIZE]; /* of the timestamp.json just fetched */
	enum nal_class class;       /* of the last failed request */
	bool may_be_unchanged;      /* the newest metadata is in force */
	bool changed;
};

/* ---- the updater's source: one way to one CAP ---- */

static const char *token_for(const struct refresh *r, const struct updater_request *request)
{
	const char *address = jsondoc_text(r->cap_doc, "address");

	if (!request->if_changed || !r->may_be_unchanged || address == NULL ||
	    strcmp(address, r->address) != 0)
		return NULL;
	return jsondoc_text(r->cap_doc, "token");
}

/* Target paths arrive percent-encoded for URLs; ways take plain names. */
static char *object_name(enum updater_base base, const char *path)
{
	char *decoded = NULL;
	char *name;

	if (!locator_decode(&decoded, span_of_text(path)))
		return NULL;
	name = path_join(base == UPDATER_METADATA ? "metadata" : "targets", decoded);
	free(decoded);
	return name;
}

/* All others have a new name each time. */
static bool is_replaced(const struct updater_request *request)
{
	return strcmp(request->path, "timestamp.json") == 0;
}

static enum updater_fetched fetch(void *ctx, const struct updater_request *request, struct buf *out,
				  struct err *err)
{
	struct refresh *r = ctx;
	SCOPED(way_object) struct way_object object = { 0 };
	SCOPED_TEXT char *name = object_name(request->base, request->path);
	const struct way_get ask = { .max = request->max, .token = token_for(r, request) };
	enum nal_class class;

	if (name == NULL)
		return UPDATER_NOT_FOUND;
	class = is_replaced(request) ? way_get_replaced(&object, r->way, name, &ask, err)
				     : way_get(&object, r->way, name, &ask, err);
	if (class == NAL_CLASS_NOT_FOUND)
		return UPDATER_NOT_FOUND;
	if (class != NAL_CLASS_OK) {
		r->class = class;
		return err->code == ERR_LIMIT    ? UPDATER_TOO_LARGE
		       : class == NAL_CLASS_SLOW ? UPDATER_SLOW
						 : UPDATER_FAILED;
	}
	if (object.unchanged)
		return UPDATER_UNCHANGED;
	if (is_replaced(request))
		snprintf(r->token, sizeof(r->token), "%s", object.token);
	buf_put_span(out, buf_span(&object.bytes));
	return UPDATER_GOT;
}

/* ---- one CAP ---- */

static bool wants_full(const struct refresh *r)
{
	int64_t last = jsondoc_int(r->cap_doc, "full", 0);
	int64_t now_s = clock_wall_s(r->w->clock);

	return jsondoc_flag(r->request, "force", false) || now_s - last >= FULL_EVERY_S ||
	       now_s < last;
}

static void save_cap_doc(const struct refresh *r)
{
	struct err err;

	if (!state_write_json(&r->w->state, STATE_CAP, r->cap_doc, &err))
		log_debug("cap.json: %s", err.why);
}

/* What the next poll of this very address may be spared. */
static void note_cap(struct refresh *r, const struct renewal_outcome *outcome)
{
	jsondoc_set_text(r->cap_doc, "address", r->address);
	if (r->token[0] != '\0')
		jsondoc_set_text(r->cap_doc, "token", r->token);
	if (outcome->ran_full)
		jsondoc_set_int(r->cap_doc, "full", clock_wall_s(r->w->clock));
	save_cap_doc(r);
}

/* The supervisor makes a new plan after this: a new root may have withdrawn keys. */
static void note_root(struct refresh *r, int64_t version)
{
	if (version == 0 || version == jsondoc_int(r->cap_doc, "root", 0))
		return;
	jsondoc_set_int(r->cap_doc, "root", version);
	save_cap_doc(r);
}

/* The whole workflow with one CAP. */
static enum verdict refresh_from(struct refresh *r, struct err *err)
{
	const struct updater_source source = { .fetch = fetch, .ctx = r };
	const struct renewal renewal = {
		.state = &r->w->state,
		.source = &source,
		.now_s = clock_wall_s(r->w->clock),
		.how = wants_full(r) ? RENEWAL_FULL : RENEWAL_POLL,
		.targets = json_object_get(r->request, "targets"),
	};
	struct renewal_outcome outcome;
	enum verdict verdict;

	r->class = NAL_CLASS_OK;
	r->token[0] = '\0';
	r->may_be_unchanged = renewal_is_complete(&r->w->state);
	verdict = renewal_run(&outcome, &renewal, err);
	r->changed = r->changed || outcome.changed;
	note_root(r, outcome.root);
	if (verdict == VERDICT_OK)
		note_cap(r, &outcome);
	return verdict;
}

/* ---- what the last refresh met, for `status` ---- */

static void note_verdict(const struct refresh *r, enum verdict verdict, const struct err *fault)
{
	json_auto_t *status = NULL;
	const char *name = verdict_name(verdict);
	const char *before;
	struct err err;
	int64_t now_s = clock_wall_s(r->w->clock);

	if (!state_read_json(&status, &r->w->state, STATE_STATUS, &err) || status == NULL)
		status = json_object();
	before = jsondoc_text(status, "verdict");
	if (before == NULL || strcmp(before, name) != 0)
		jsondoc_set_time(status, "verdict_since", now_s);
	jsondoc_set_text(status, "verdict", name);
	jsondoc_set_int(status, "clock_behind_s", policyset_clock_behind(&r->w->state, now_s));
	jsondoc_set_text(status, "verdict_attack", verdict_attack(verdict));
	jsondoc_set_text(status, "verdict_server", r->cap);
	jsondoc_set_text(status, "verdict_text",
			 fault != NULL ? fault->why : verdict_text(VERDICT_OK));
	if (fault == NULL) {
		jsondoc_set_time(status, "last_refresh", now_s);
		jsondoc_set_int(status, "last_refresh_s", now_s);
	}
	if (!state_write_json(&r->w->state, STATE_STATUS, status, &err))
		log_debug("status.json: %s", err.why);
}

/*
 * No CAP answered. "ok" is true no longer; what a CAP that did answer was refused for stays, since
 * it says more.
 */
static void note_silence(struct refresh *r, const struct err *fault)
{
	json_auto_t *status = NULL;
	const char *before;
	struct err err;

	if (r->cap != NULL || !state_read_json(&status, &r->w->state, STATE_STATUS, &err))
		return;
	before = jsondoc_text(status, "verdict");
	if (before == NULL || strcmp(before, verdict_name(VERDICT_OK)) == 0 ||
	    strcmp(before, verdict_name(VERDICT_UNREACHABLE)) == 0)
		note_verdict(r, VERDICT_UNREACHABLE, fault);
}

/* Names the server, and the attack that it would be. */
static json_t *new_fault_text(const char *cap, enum verdict verdict, const struct err *err)
{
	const char *attack = verdict_attack(verdict);

	return json_sprintf("trust: %s served what is refused%s%s: %s", cap,
			    attack[0] != '\0' ? ", as in an attack by " : "", attack, err->why);
}

static void tell_trust_fault(struct refresh *r, enum verdict verdict, const struct err *err)
{
	json_t *data = json_object();

	jsondoc_set_text(data, "verdict", verdict_name(verdict));
	jsondoc_set_text(data, "attack", verdict_attack(verdict));
	jsondoc_set_text(data, "server", r->cap);
	worker_record(r->w, message_new(MESSAGE_TRUST_FAULT, clock_wall_s(r->w->clock), NULL,
					new_fault_text(r->cap, verdict, err), data));
}

static bool is_trust_fault(enum verdict verdict)
{
	return verdict != VERDICT_UNREACHABLE && verdict != VERDICT_NOT_STORED &&
	       verdict != VERDICT_NO_ROOT;
}

/* The class under which a CAP's failure is remembered. */
static enum nal_class class_of(const struct refresh *r, enum verdict verdict)
{
	if ((verdict == VERDICT_UNREACHABLE || verdict == VERDICT_SLOW) && r->class != NAL_CLASS_OK)
		return r->class;
	if (verdict == VERDICT_UNREACHABLE || verdict == VERDICT_MISSING)
		return NAL_CLASS_CONTENT_MISSING;
	/* Not `corrupt`, whose quarantine lasts a day: a CAP is whole again after the next publish.
	 */
	return NAL_CLASS_PROTOCOL;
}

/* Try CAP after CAP. */
static bool refresh_from_any(struct refresh *r, struct approach *ap, struct err *err)
{
	while (approach_next(&r->way, ap, err)) {
		enum verdict verdict;

		r->cap = approach_server(ap);
		r->address = approach_address(ap);
		verdict = refresh_from(r, err);
		if (verdict == VERDICT_OK) {
			note_verdict(r, verdict, NULL);
			approach_served(ap);
			return true;
		}
		note_verdict(r, verdict, err);
		if (is_trust_fault(verdict))
			tell_trust_fault(r, verdict, err);
		approach_failed(ap, class_of(r, verdict), err);
		/* A full disk or a missing root is this machine's fault: no other CAP mends it. */
		if (verdict == VERDICT_NOT_STORED || verdict == VERDICT_NO_ROOT)
			return false;
	}
	if (approach_last_error(ap)->code != ERR_NONE)
		*err = *approach_last_error(ap);
	note_silence(r, err);
	return false;
}

static bool run(json_t **result_out, struct refresh *r, struct err *err)
{
	struct scene *scene = r->w->scene;
	const struct scene_question q = {
		.kind = KIND_CAP,
		.object = "cap",
		.version_key = "cap",
		.policy = jsondoc_text(r->request, "policy"),
		.for_person = jsondoc_flag(r->request, "for_person", true),
	};
	SCOPED(scene_answer) struct scene_answer answer = { 0 };
	uint64_t before = conntab_counts(scene_conntab(scene)).connects;
	struct approach *ap;
	json_t *decision;
	bool done;

	if (!scene_choose(&answer, scene, &q, err))
		return false;
	ap = approach_begin(scene, &q, &answer, 0);
	done = refresh_from_any(r, ap, err);
	decision = approach_end(ap, &r->w->state);
	if (!done) {
		json_decref(decision);
		return err_what(err, "cannot refresh the site's policy");
	}
	*result_out = json_object();
	jsondoc_set_flag(*result_out, "changed", r->changed);
	jsondoc_set_int(*result_out, "clock_behind_s",
			policyset_clock_behind(&r->w->state, clock_wall_s(r->w->clock)));
	jsondoc_set_text(*result_out, "cap", r->cap);
	jsondoc_set_text(*result_out, "verdict", "ok");
	jsondoc_set(*result_out, "decision", decision);
	jsondoc_set_int(*result_out, "new_connections",
			(int64_t)(conntab_counts(scene_conntab(scene)).connects - before));
	return true;
}

bool op_refresh(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	struct refresh r = { .w = w, .request = request };
	SCOPED_FD int lock = -1;
	bool done;

	if (!state_lock(&lock, &w->state, "metadata", LOCK_WAIT_MS, err) ||
	    (w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err) ||
	    !state_read_json(&r.cap_doc, &w->state, STATE_CAP, err))
		return false;
	if (r.cap_doc == NULL)
		r.cap_doc = json_object();
	done = run(result_out, &r, err);
	json_decref(r.cap_doc);
	/* What this request brought is what the next one decides by. */
	if (!done || !scene_look(w->scene, err))
		return false;
	if (r.changed)
		generation_sweep(&w->state); /* the scene held the one before until now */
	return true;
}

void op_refresh_if_old(struct worker *w)
{
	json_auto_t *status = NULL;
	json_auto_t *request = json_pack("{s:s}", "op", "refresh");
	json_auto_t *result = NULL;
	const struct docs_site *site;
	int64_t last, poll_s, now_s = clock_wall_s(w->clock);
	struct err err;

	if (!state_has_identity(&w->state) ||
	    !state_read_json(&status, &w->state, STATE_STATUS, &err))
		return;
	last = jsondoc_int(status, "last_refresh_s", 0);
	site = w->scene != NULL ? scene_site(w->scene) : NULL;
	poll_s = site != NULL ? site->poll_s : POLL_DEFAULT_S;
	if (now_s >= last && now_s - last < poll_s)
		return;
	if (!op_refresh(&result, w, request, &err))
		log_warn("policy could not be refreshed: %s", err.why);
}
