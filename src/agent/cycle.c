#include "agent/cycle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/assigned.h"
#include "agent/bundle.h"
#include "agent/generation.h"
#include "agent/inventory.h"
#include "agent/jobs.h"
#include "agent/outbox.h"
#include "agent/overview.h"
#include "agent/permit.h"
#include "agent/run.h"
#include "common/alloc.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/path.h"
#include "content/store.h"

#define CYCLE_WAIT_MS   600000
#define JOURNAL_WAIT_MS 30000
#define OUTBOX_WAIT_MS  10000
#define LOOK_FIRST_MS   50   /* between two looks at a running program, at first … */
#define LOOK_MAX_MS     2000 /* … and at one that takes its time */
#define EVALUATIONS_MAX 3 /* an evaluation may ask for documents that the refresh did not bring */

struct cycle {
	struct job *job;
	struct state_identity id;
	json_t *inventory; /* {"digest","tables"} */
	struct assigned plan;
	struct journal journal;
	struct journal_list runs;
	char *reaper;
	bool outbox_full;
	bool untold; /* a record found no room */
	size_t ran;
	size_t failed;
	size_t sent;
	bool changed;
	struct err refresh_error; /* why policy could not be refreshed; ERR_NONE: it was */
};

static void cycle_scoped(struct cycle *c)
{
	state_identity_release(&c->id);
	json_decref(c->inventory);
	assigned_release(&c->plan);
	journal_list_release(&c->runs);
	journal_close(&c->journal);
	free(c->reaper);
}

/* ---- records ---- */

static json_t *new_record(const struct cycle *c, int id, json_t *text)
{
	json_t *record = json_object();

	jsondoc_set_text(record, "kind", "status");
	jsondoc_set_int(record, "id", id);
	jsondoc_set_time(record, "time", clock_wall_s(c->job->clock));
	jsondoc_set(record, "text", text);
	return record;
}

static bool open_outbox(struct outbox **out, const struct cycle *c, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(c->job->state, "outbox");

	return outbox_open(out, dir, c->id.stream, 0, OUTBOX_WAIT_MS, err);
}

static bool is_kept(enum outbox_result result, struct err *err)
{
	switch (result) {
	case OUTBOX_KEPT:
	case OUTBOX_KNOWN:
		return true;
	case OUTBOX_FULL:
		return err_set(err, ERR_OUTBOX_FULL, "records wait for a CAP and fill their room");
	case OUTBOX_FAULT:
	default:
		return false;
	}
}

static void pass_on(const struct cycle *c, const json_t *record)
{
	json_auto_t *event = json_pack("{s:s,s:O}", "event", "record", "record", record);

	if (c->job->event != NULL)
		(void)c->job->event(event, c->job->event_ctx);
}

/* What a run tells. By its key: once, whatever is killed when. */
static bool keep_record(const json_t *record, const char *key, void *ctx, struct err *err)
{
	const struct cycle *c = ctx;
	SCOPED(outbox) struct outbox *outbox = NULL;

	if (!open_outbox(&outbox, c, err) ||
	    !is_kept(outbox_append_end(outbox, record, key, err), err))
		return false;
	pass_on(c, record);
	return true;
}

/*
 * Tell once that an assignment has come into a state; `text` and `data` are taken over. The key
 * keeps it at once where a kill comes before assigned_save. What a full outbox has no room for is
 * told later; it is no reason to stop, for new programs wait for it.
 */
static void tell_once(struct cycle *c, struct outbox *outbox, size_t index, const char *state,
		      int id, json_t *text, json_t *data)
{
	const json_t *row = assigned_row(&c->plan, index);
	json_auto_t *record = new_record(c, id, text);
	SCOPED_TEXT char *key = assigned_key(&c->plan, index, state);
	struct err err;

	jsondoc_set_text(record, "advertisement", jsondoc_text(row, "advertisement"));
	jsondoc_set_text(record, "package", jsondoc_text(row, "package"));
	jsondoc_set_int(record, "version", jsondoc_int(row, "version", 0));
	jsondoc_set_text(record, "program", jsondoc_text(row, "program"));
	if (data != NULL)
		jsondoc_set(record, "data", data);
	if (!is_kept(outbox_append(outbox, record, key, &err), &err)) {
		log_warn("record %d is not kept: %s", id, err.why);
		c->untold = true;
		return;
	}
	assigned_tell(&c->plan, index, state);
	pass_on(c, record);
}

/* ---- beginning ---- */

static bool check_machine(const struct cycle *c, struct err *err)
{
	SCOPED_TEXT char *machine = state_machine_id();

	if (strcmp(machine, c->id.machine) == 0)
		return true;
	err_set(err, ERR_REFUSED, "this state belongs to another machine: it is a copy");
	return err_fix(err, "enrol this machine anew: packway reset, then packway enroll FILE");
}

/* A machine that was set up with bundles in its configuration enrols itself: the first that works.
 */
static bool enrol_by_bundle(struct job *job)
{
	json_auto_t *paths = bundle_list(job->settings->enroll_dir);
	const json_t *path;
	size_t i;

	json_array_foreach (paths, i, path) {
		json_auto_t *request = json_object();
		json_auto_t *answer = NULL;
		struct err err;

		if (bundle_read(request, json_string_value(path), &err) &&
		    jobs_enroll_in_cycle(&answer, job, request, &err))
			return true;
		log_warn("%s: %s", json_string_value(path), err.why);
	}
	return false;
}

static bool begin(struct cycle *c, struct job *job, struct err *err)
{
	c->job = job;
	c->journal = (struct journal)JOURNAL_CLOSED;
	if (!state_load_identity(&c->id, job->state, err))
		return false;
	if (c->id.enrolment == STATE_NONE && job->settings->enroll_dir != NULL &&
	    enrol_by_bundle(job) && !state_load_identity(&c->id, job->state, err))
		return false;
	if (c->id.enrolment == STATE_NONE)
		return err_set(err, ERR_NOT_ENROLLED, "%s holds no identity", job->state->dir);
	return check_machine(c, err) && helper_find(&c->reaper, "packway-agent", err);
}

static bool open_journal(struct cycle *c, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(c->job->state, "journal");

	return journal_open(&c->journal, dir, JOURNAL_WAIT_MS, err);
}

/* What cannot be told for want of room is told once records have gone: that must not stop them. */
static bool settle_runs(struct run_summary *summary, struct cycle *c, struct err *err)
{
	if (run_collect(summary, &c->journal, c->job->clock, keep_record, c, err))
		return true;
	if (err->code != ERR_OUTBOX_FULL)
		return false;
	log_warn("how a program ran is told later: %s", err->why);
	err_clear(err);
	return true;
}

/* Tell and settle what has ended, then look at what there is. The journal is closed again. */
static bool collect(struct run_summary *summary, struct cycle *c, struct err *err)
{
	bool done;

	if (!open_journal(c, err))
		return false;
	journal_list_release(&c->runs);
	done = settle_runs(summary, c, err) && journal_load(&c->runs, &c->journal, err);
	journal_close(&c->journal);
	return done;
}

static bool refresh(struct cycle *c, const json_t *targets, struct err *err)
{
	json_auto_t *question = json_pack("{s:s,s:b}", "op", "refresh", "for_person",
					  c->job->for_person);
	json_auto_t *answer = NULL;

	if (targets != NULL)
		jsondoc_set(question, "targets", json_incref((json_t *)(uintptr_t)targets));
	if (!job_ask_worker(&answer, c->job, question, err))
		return false;
	c->changed = c->changed || jsondoc_flag(answer, "changed", false);
	return true;
}

/* ---- what is this client's ---- */

static bool take_inventory(struct cycle *c, struct err *err)
{
	json_t *tables = NULL;

	if (!overview_inventory(&tables, c->job->settings, err))
		return false;
	c->inventory = tables;
	return true;
}

/* Which policy and which inventory a plan was made from. */
static char *inputs_of(const struct cycle *c)
{
	SCOPED_TEXT char *generation = generation_name(c->job->state);
	json_auto_t *cap = NULL;
	struct err ignored;

	if (!state_read_json(&cap, c->job->state, "cap.json", &ignored))
		cap = NULL;
	return alloc_printf("%s %" PRId64 " %016" PRIx64 " %s",
			    generation != NULL ? generation : "-", jsondoc_int(cap, "root", 0),
			    inventory_fingerprint(c->inventory), c->id.client);
}

static bool ask_for_plan(json_t **plan_out, struct cycle *c, struct err *err)
{
	json_auto_t *question = json_object();

	jsondoc_set_text(question, "op", "evaluate");
	jsondoc_set_text(question, "client", c->id.client);
	jsondoc_set(question, "inventory", json_incref(c->inventory));
	return job_ask_offline(plan_out, c->job, question, err);
}

static bool make_plan(json_t **plan_out, struct cycle *c, struct err *err)
{
	for (int i = 0; i < EVALUATIONS_MAX; i++) {
		const json_t *missing;

		json_decref(*plan_out);
		*plan_out = NULL;
		if (!ask_for_plan(plan_out, c, err))
			return false;
		missing = json_object_get(*plan_out, "missing");
		if (json_array_size(missing) == 0)
			return true;
		/* What no CAP gives now is not assigned now; the rest is. */
		if (!refresh(c, missing, err)) {
			log_warn("part of the policy is not here yet: %s", err->why);
			return true;
		}
	}
	return true;
}

static void tell_policy(struct cycle *c, const json_t *before, const json_t *now)
{
	const json_t *trusted = json_object_get(now, "trusted");
	int64_t version = jsondoc_int(trusted, "timestamp", 0);
	json_auto_t *status = NULL;
	SCOPED_TEXT char *key = alloc_printf("policy/%" PRId64, version);
	json_auto_t *record = NULL;
	json_t *data;
	struct err err;

	if (version == jsondoc_int(json_object_get(before, "trusted"), "timestamp", 0))
		return;
	if (!state_read_json(&status, c->job->state, "status.json", &err))
		return;
	record = new_record(c, 11001,
			    json_sprintf("policy version %" PRId64 " from %s", version,
					 jsondoc_text(status, "verdict_server") != NULL
						 ? jsondoc_text(status, "verdict_server")
						 : "a CAP"));
	data = json_object();
	jsondoc_set_int(data, "timestamp", version);
	jsondoc_set_text(data, "cap", jsondoc_text(status, "verdict_server"));
	jsondoc_set(record, "data", data);
	if (!keep_record(record, key, c, &err))
		log_warn("record 11001 is not kept: %s", err.why);
}

static void tell_refused(struct cycle *c, const json_t *before, const json_t *now)
{
	const json_t *rows = json_object_get(now, "refused"), *row;
	int64_t version = jsondoc_int(json_object_get(now, "trusted"), "timestamp", 0);
	struct err err;
	size_t i;

	if (json_equal(rows, json_object_get(before, "refused")))
		return;
	json_array_foreach (rows, i, row) {
		const char *adv = jsondoc_text(row, "advertisement");
		SCOPED_TEXT char *key = alloc_printf("%s/refused/%" PRId64, adv, version);
		json_auto_t *record = new_record(
			c, 10018, json_sprintf("rejected: %s", jsondoc_text(row, "reason")));

		jsondoc_set_text(record, "advertisement", adv);
		if (!keep_record(record, key, c, &err))
			log_warn("record 10018 is not kept: %s", err.why);
	}
}

/* The identity learns its site from verified policy, for people and for messages. */
static void note_site(struct cycle *c, const json_t *plan)
{
	const char *site = jsondoc_text(plan, "site");
	struct err err;

	if (site == NULL || strcmp(site, c->id.site) == 0)
		return;
	snprintf(c->id.site, sizeof(c->id.site), "%s", site);
	if (!state_save_identity(c->job->state, &c->id, &err))
		log_warn("identity.json: %s", err.why);
}

/* Unchanged policy and inventory leave the plan as it is: no child is started. */
static bool have_plan(struct cycle *c, struct err *err)
{
	json_auto_t *before = NULL;
	json_auto_t *plan = NULL;
	SCOPED_TEXT char *inputs = NULL;
	const char *old;

	if (!take_inventory(c, err) || !state_read_json(&before, c->job->state, "plan.json", err))
		return false;
	inputs = inputs_of(c);
	old = jsondoc_text(before, "inputs");
	if (old != NULL && strcmp(old, inputs) == 0)
		return assigned_load(&c->plan, c->job->state, err);
	if (!make_plan(&plan, c, err))
		return false;
	free(inputs);
	inputs = inputs_of(c);
	/* An incomplete plan is made anew next time. */
	if (json_array_size(json_object_get(plan, "missing")) == 0)
		jsondoc_set_text(plan, "inputs", inputs);
	note_site(c, plan);
	tell_policy(c, before, plan);
	tell_refused(c, before, plan);
	return state_write_json(c->job->state, "plan.json", plan, err) &&
	       assigned_load(&c->plan, c->job->state, err);
}

/* ---- deciding ---- */

static void read_facts(struct schedule_facts *out, const struct cycle *c)
{
	*out = (struct schedule_facts){
		.now_s = clock_wall_s(c->job->clock),
		.journal = &c->runs,
		.outbox_full = c->outbox_full,
	};
	out->policy_expired = c->plan.expires_s <= out->now_s;
}

static void look_at_outbox(struct cycle *c)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	struct err err;

	c->outbox_full = !open_outbox(&outbox, c, &err) || outbox_is_full(outbox);
}

static void tell_wait(struct cycle *c, struct outbox *outbox, size_t i,
		      const struct schedule_verdict *v)
{
	const char *reason = schedule_reason_name(v->reason);
	char until[CLOCK_TEXT_MAX] = "";
	json_t *data = json_object();

	if (v->until_s != SCHEDULE_NEVER)
		clock_print(until, v->until_s);
	jsondoc_set_text(data, "reason", reason);
	jsondoc_set_text(data, "until", until[0] != '\0' ? until : NULL);
	tell_once(c, outbox, i, reason, 11005,
		  json_sprintf("waits: %s%s%s%s", v->text != NULL ? v->text : reason,
			       until[0] != '\0' ? " (until " : "", until,
			       until[0] != '\0' ? ")" : ""),
		  data);
}

/* Changes worth a record. */
static void tell_verdict(struct cycle *c, struct outbox *outbox, size_t i,
			 const struct schedule_verdict *v)
{
	const char *reason = schedule_reason_name(v->reason);

	if (v->state == SCHEDULE_EXPIRED && !assigned_is_told(&c->plan, i, "expired"))
		tell_once(c, outbox, i, "expired", 10019,
			  json_string("expired before it could run"), NULL);
	if (v->state == SCHEDULE_STOPPED && !assigned_is_told(&c->plan, i, "stopped"))
		tell_once(c, outbox, i, "stopped", 11010, json_string("stopped by the site"), NULL);
	if (v->state == SCHEDULE_REJECTED && !assigned_is_told(&c->plan, i, "rejected"))
		tell_once(c, outbox, i, "rejected", 10018,
			  json_sprintf("rejected: %s", v->text != NULL ? v->text : ""), NULL);
	if (v->state == SCHEDULE_WAITING && !assigned_is_told(&c->plan, i, reason))
		tell_wait(c, outbox, i, v);
}

/* Before anything is done about it: the timeline begins with the arrival. */
static bool tell_received(struct cycle *c, struct err *err)
{
	SCOPED(outbox) struct outbox *outbox = NULL;

	if (!open_outbox(&outbox, c, err))
		return false;
	for (size_t i = 0; i < c->plan.count; i++)
		if (assigned_is_new(&c->plan, i))
			tell_once(c, outbox, i, "received", 10002, json_string("received"), NULL);
	return true;
}

/* ---- content ---- */

enum fetch_how {
	FETCH_MISSING, /* what stands here as verified is believed */
	FETCH_MEND,    /* what stands here was found changed: look at every chunk again */
};

static json_t *new_fetch(const struct cycle *c, size_t i, enum fetch_how how)
{
	const json_t *row = assigned_row(&c->plan, i);
	json_t *question = json_object();

	jsondoc_set_text(question, "op", "fetch");
	jsondoc_set_text(question, "package", jsondoc_text(row, "package"));
	jsondoc_set_int(question, "version", jsondoc_int(row, "version", 0));
	jsondoc_set_text(question, "advertisement", jsondoc_text(row, "advertisement"));
	jsondoc_set_text(question, "program", jsondoc_text(row, "program"));
	jsondoc_set_int(question, "quota", (int64_t)c->job->settings->quota_bytes);
	jsondoc_set_flag(question, "for_person", c->job->for_person);
	if (how == FETCH_MEND)
		jsondoc_set_flag(question, "mend", true);
	return question;
}

/* Have the content of an assignment here, or note why not. *path_out is the caller's. */
static bool fetch(char **path_out, char **way_out, struct cycle *c, size_t i, enum fetch_how how,
		  struct err *err)
{
	json_auto_t *question = new_fetch(c, i, how);
	json_auto_t *answer = NULL;
	const json_t *waiting;

	if (!job_ask_worker(&answer, c->job, question, err)) {
		assigned_set_wait(&c->plan, i, err->why, SCHEDULE_NEVER);
		return false;
	}
	waiting = json_object_get(answer, "waiting");
	if (waiting != NULL) {
		assigned_set_wait(&c->plan, i, jsondoc_text(waiting, "text"),
				  schedule_time(waiting, "until"));
		return err_set(err, ERR_NO_CANDIDATE, "%s", jsondoc_text(waiting, "text"));
	}
	assigned_set_ready(&c->plan, i);
	*path_out = alloc_text(jsondoc_text(answer, "path"));
	*way_out = alloc_text(jsondoc_text(answer, "way"));
	return true;
}

/* ---- running ---- */

/* Immediately before a run the tree is compared with the signed manifest once more. */
static bool verify_content(struct cycle *c, size_t i, struct err *err)
{
	const json_t *row = assigned_row(&c->plan, i);
	json_auto_t *question = json_object();
	json_auto_t *answer = NULL;
	const json_t *finding;

	jsondoc_set_text(question, "op", "verify");
	jsondoc_set_text(question, "package", jsondoc_text(row, "package"));
	jsondoc_set_int(question, "version", jsondoc_int(row, "version", 0));
	if (!job_ask_offline(&answer, c->job, question, err))
		return false;
	finding = json_array_get(json_object_get(answer, "findings"), 0);
	if (finding == NULL)
		return true;
	return err_set(err, ERR_CORRUPT, "the content has changed since it was verified: %s is %s",
		       jsondoc_text(finding, "path"), jsondoc_text(finding, "finding"));
}

/* From here on until the last process of the run has ended, nobody removes the content. */
static bool pin_content(int *pin_out, const struct cycle *c, size_t i, struct err *err)
{
	const json_t *row = assigned_row(&c->plan, i);
	SCOPED_TEXT char *dir = state_path(c->job->state, "store");
	SCOPED(store) struct store *store = NULL;
	const char *package;
	int64_t version;
	struct store_id id;

	if (!jsondoc_need_text(&package, row, "package", err) ||
	    !jsondoc_need_int(&version, row, "version", 1, STORE_VERSION_MAX, err))
		return false;
	if (!store_id_make(&id, package, (uint64_t)version))
		return err_set(err, ERR_FORMAT, "\"%s\" is no package", package);
	return store_open(&store, dir, c->job->clock, err) && store_pin(pin_out, store, &id, err);
}

/* Hold the content, verified. Somebody may have changed it since it came: that is mended once. */
static bool hold_content(int *pin_out, struct cycle *c, size_t i, struct err *err)
{
	SCOPED_TEXT char *path = NULL;
	SCOPED_TEXT char *way = NULL;

	if (!pin_content(pin_out, c, i, err))
		return false;
	if (verify_content(c, i, err))
		return true;
	if (err->code != ERR_CORRUPT)
		return false;
	log_warn("%s; it is fetched again", err->why);
	path_close_fd(pin_out);
	*pin_out = -1;
	return fetch(&path, &way, c, i, FETCH_MEND, err) && pin_content(pin_out, c, i, err) &&
	       verify_content(c, i, err);
}

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&pause, NULL);
}

/* Until nothing of this client runs any more. The program does not depend on us: it outlives a
 * kill. */
static bool wait_for_runs(struct cycle *c, struct err *err)
{
	struct run_summary summary;
	long look_ms = LOOK_FIRST_MS;

	do {
		pause_ms(look_ms);
		look_ms = MIN_OF(look_ms + look_ms / 8, (long)LOOK_MAX_MS);
		if (!collect(&summary, c, err))
			return false;
	} while (summary.running > 0);
	return true;
}

/* As long as a run is not settled every cycle looks at everything: others may wait for it. */
static void forget_quiet(const struct cycle *c)
{
	SCOPED_TEXT char *path = state_path(c->job->state, "quiet.json");

	(void)unlink(path);
}

static enum run_start start(struct cycle *c, size_t i, const char *path, const char *way,
			    enum journal_again again, struct err *err)
{
	SCOPED_FD int pin = -1;
	struct run_request request = {
		.assignment = assigned_row(&c->plan, i),
		.content = path,
		.client = c->id.client,
		.way = way,
		.again = again,
		.reaper = c->reaper,
	};
	enum run_start result;

	forget_quiet(c);
	if (!hold_content(&pin, c, i, err) || !open_journal(c, err))
		return RUN_FAULT;
	request.pin = pin;
	result = run_start(&c->journal, &request, c->job->clock, err);
	journal_close(&c->journal);
	return result;
}

static bool run_assignment(struct cycle *c, size_t i, const char *path, const char *way,
			   enum journal_again again, struct err *err)
{
	switch (start(c, i, path, way, again, err)) {
	case RUN_STARTED:
		c->ran++;
		return wait_for_runs(c, err);
	case RUN_HAS_RUN:
	case RUN_IS_BUSY:
		return wait_for_runs(c, err);
	case RUN_FAULT:
	default:
		return false;
	}
}

/* Fetch and run one assignment if it is its turn. False: nothing came of it that changes the
 * others. */
static bool take_turn(struct cycle *c, size_t i, bool *tried)
{
	struct schedule_facts facts;
	struct schedule_verdict v;
	SCOPED_TEXT char *path = NULL;
	SCOPED_TEXT char *way = NULL;
	struct err err;

	read_facts(&facts, c);
	schedule_evaluate(&v, &c->plan.assignments[i], &c->plan.contents[i], &facts);
	if ((!v.wants_content && v.state != SCHEDULE_DUE) || tried[i])
		return false;
	tried[i] = true;
	if (!fetch(&path, &way, c, i, FETCH_MISSING, &err))
		return false;
	schedule_evaluate(&v, &c->plan.assignments[i], &c->plan.contents[i], &facts);
	if (v.state != SCHEDULE_DUE)
		return false;
	if (run_assignment(c, i, path, way, v.again, &err))
		return true;
	log_warn("%s: %s", c->plan.assignments[i].advertisement, err.why);
	assigned_set_wait(&c->plan, i, err.why, SCHEDULE_NEVER);
	return false;
}

/* In the order of the schedule; a run may make another one due, so begin again after each. */
static void run_what_is_due(struct cycle *c)
{
	size_t *order = alloc_zeroed(c->plan.count, sizeof(*order));
	bool *tried = alloc_zeroed(c->plan.count, sizeof(*tried));
	bool again = true;

	schedule_order(order, c->plan.assignments, c->plan.count);
	while (again) {
		again = false;
		for (size_t k = 0; k < c->plan.count && !again; k++)
			again = take_turn(c, order[k], tried);
	}
	free(order);
	free(tried);
}

/* ---- the end of a cycle ---- */

static json_t *judge_all(struct cycle *c, size_t *waiting_out, size_t *failed_out)
{
	struct schedule_verdict *verdicts = alloc_zeroed(c->plan.count, sizeof(*verdicts));
	SCOPED(outbox) struct outbox *outbox = NULL;
	struct schedule_facts facts;
	json_t *quiet = json_object();
	int64_t next;
	struct err ignored;

	c->untold = !open_outbox(&outbox, c, &ignored) || c->untold;
	*waiting_out = *failed_out = 0;
	read_facts(&facts, c);
	for (size_t i = 0; i < c->plan.count; i++) {
		schedule_evaluate(&verdicts[i], &c->plan.assignments[i], &c->plan.contents[i],
				  &facts);
		if (outbox != NULL)
			tell_verdict(c, outbox, i, &verdicts[i]);
		*waiting_out += verdicts[i].state == SCHEDULE_WAITING;
		*failed_out += verdicts[i].state == SCHEDULE_FAILED;
	}
	next = schedule_next(verdicts, c->plan.count);
	jsondoc_set_int(quiet, "next", next == SCHEDULE_NEVER ? JSONDOC_INT_MAX : next);
	free(verdicts);
	return quiet;
}

static bool has_open_run(const struct cycle *c)
{
	for (size_t i = 0; i < c->runs.count; i++)
		if (!c->runs.runs[i].settled && c->runs.runs[i].phase != JOURNAL_UNSTARTED)
			return true;
	return false;
}

/* True if what is open now may change without the time, policy or inventory changing. */
static bool may_change(const struct cycle *c)
{
	return has_open_run(c) || json_object_size(c->plan.waits) > 0 ||
	       c->refresh_error.code != ERR_NONE || c->outbox_full || c->untold;
}

/*
 * Note until when nothing can change by itself, so that an unchanged cycle need not look at ten
 * thousand assignments to find that out.
 */
static void keep_quiet(struct cycle *c, json_t *quiet, size_t waiting, size_t failed)
{
	SCOPED_TEXT char *inputs = inputs_of(c);
	struct err err;

	if (!may_change(c))
		jsondoc_set_text(quiet, "inputs", inputs);
	jsondoc_set_int(quiet, "made", clock_wall_s(c->job->clock));
	jsondoc_set_int(quiet, "expires", MIN_OF(c->plan.expires_s, JSONDOC_INT_MAX));
	jsondoc_set_int(quiet, "waiting", (int64_t)waiting);
	jsondoc_set_int(quiet, "failed", (int64_t)failed);
	if (!state_write_json(c->job->state, "quiet.json", quiet, &err))
		log_warn("quiet.json: %s", err.why);
}

static void queue_inventory(struct cycle *c)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	json_auto_t *sent = NULL;
	json_auto_t *record = NULL;
	char digest[17];
	const char *before;
	struct err err;

	snprintf(digest, sizeof(digest), "%016" PRIx64, inventory_fingerprint(c->inventory));
	if (!state_read_json(&sent, c->job->state, "inventory.json", &err))
		return;
	before = jsondoc_text(sent, "digest");
	if (!open_outbox(&outbox, c, &err)) {
		log_warn("the inventory is not kept: %s", err.why);
		return;
	}
	if (before != NULL && strcmp(before, digest) == 0 && !outbox_lacks_inventory(outbox))
		return;
	record = inventory_record(c->inventory, clock_wall_s(c->job->clock));
	if (!is_kept(outbox_put_inventory(outbox, record, &err), &err)) {
		log_warn("the inventory is not kept: %s", err.why);
		return;
	}
	json_decref(sent);
	sent = json_object();
	jsondoc_set_text(sent, "digest", digest);
	if (!state_write_json(c->job->state, "inventory.json", sent, &err))
		log_warn("inventory.json: %s", err.why);
}

static json_t *new_summary(const struct cycle *c, size_t waiting, size_t failed)
{
	json_t *result = json_object();

	jsondoc_set_text(result, "state", state_enrolment_name(c->id.enrolment));
	jsondoc_set_flag(result, "changed", c->changed);
	jsondoc_set_int(result, "ran", (int64_t)c->ran);
	jsondoc_set_int(result, "waiting", (int64_t)waiting);
	jsondoc_set_int(result, "failed", (int64_t)failed);
	jsondoc_set_int(result, "sent", (int64_t)c->sent);
	return result;
}

/* Nothing changed and nothing is due by time: true, with the counts of the last full look. */
static bool is_quiet(json_t **result_out, struct cycle *c, const struct run_summary *runs)
{
	SCOPED_TEXT char *inputs = NULL;
	json_auto_t *quiet = NULL;
	int64_t now_s = clock_wall_s(c->job->clock);
	const char *before;
	struct err err;

	if (runs->running > 0 || runs->ended > 0 || c->refresh_error.code != ERR_NONE ||
	    !state_read_json(&quiet, c->job->state, "quiet.json", &err) || quiet == NULL)
		return false;
	before = jsondoc_text(quiet, "inputs");
	inputs = inputs_of(c);
	if (before == NULL || strcmp(before, inputs) != 0 ||
	    now_s < jsondoc_int(quiet, "made", INT64_MAX) ||
	    now_s >= jsondoc_int(quiet, "next", 0) || now_s >= jsondoc_int(quiet, "expires", 0))
		return false;
	*result_out = new_summary(c, (size_t)jsondoc_int(quiet, "waiting", 0),
				  (size_t)jsondoc_int(quiet, "failed", 0));
	return true;
}

static bool deliver(struct cycle *c, struct err *err)
{
	if (jobs_deliver(&c->sent, c->job, &c->id, err))
		return true;
	/* Records wait; that a CAP is away was told by the refresh already. */
	log_debug("records wait: %s", err->why);
	return c->refresh_error.code != ERR_NONE || err_exit(err->code) != EXIT_LOCAL;
}

/* The cycle of a client that the site knows. */
static bool work(json_t **result_out, struct cycle *c, struct err *err)
{
	struct run_summary runs;
	size_t waiting, failed;
	json_auto_t *quiet = NULL;

	if (!collect(&runs, c, err) || !take_inventory(c, err))
		return false;
	if (is_quiet(result_out, c, &runs)) {
		queue_inventory(c);
		if (!deliver(c, err))
			return false;
		jsondoc_set_int(*result_out, "sent", (int64_t)c->sent);
		return true;
	}
	json_decref(c->inventory);
	c->inventory = NULL;
	if (!have_plan(c, err))
		return false;
	look_at_outbox(c);
	if (!tell_received(c, err))
		return false;
	run_what_is_due(c);
	quiet = judge_all(c, &waiting, &failed);
	if (!assigned_save(&c->plan, c->job->state, err))
		return false;
	keep_quiet(c, quiet, waiting, failed);
	queue_inventory(c);
	if (!deliver(c, err))
		return false;
	*result_out = new_summary(c, waiting, failed);
	return true;
}

static bool has_policy(const struct cycle *c)
{
	SCOPED_TEXT char *generation = generation_name(c->job->state);

	return generation != NULL;
}

static bool run_cycle(json_t **result_out, struct cycle *c, struct err *err)
{
	size_t sent;

	if (!refresh(c, NULL, &c->refresh_error)) {
		/* What was trusted stays in force; without any there is nothing to do. */
		if (!has_policy(c) || err_exit(c->refresh_error.code) == EXIT_LOCAL) {
			*err = c->refresh_error;
			return false;
		}
		log_debug("%s", c->refresh_error.why); /* told at the end of the cycle */
	}
	if (c->id.enrolment != STATE_ENROLLED) {
		if (!jobs_deliver(&sent, c->job, &c->id, err) && c->refresh_error.code == ERR_NONE)
			return false;
		if (c->id.enrolment != STATE_ENROLLED) {
			*result_out = new_summary(c, 0, 0);
			return true;
		}
	}
	return work(result_out, c, err);
}

bool cycle_sync(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	SCOPED(cycle) struct cycle c = { .journal = JOURNAL_CLOSED };
	SCOPED_FD int lock = -1;

	job->for_person = jsondoc_flag(request, "for_person", true);
	if (!state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) || !begin(&c, job, err) ||
	    !run_cycle(result_out, &c, err))
		return false;
	if (c.refresh_error.code == ERR_NONE)
		return true;
	/* The cycle did what it could by the policy it has; that it could not be refreshed is told.
	 */
	json_decref(*result_out);
	*result_out = NULL;
	*err = c.refresh_error;
	return false;
}

/* ---- one program by hand ---- */

static bool is_runnable(const struct schedule_verdict *v)
{
	return v->state == SCHEDULE_DUE || v->state == SCHEDULE_OFFERED;
}

/* The plan of a client that was let out is still there. */
static bool is_let_in(const struct cycle *c, struct err *err)
{
	if (c->id.enrolment == STATE_ENROLLED)
		return true;
	if (c->id.enrolment == STATE_REMOVED) {
		err_set(err, ERR_NOT_ENROLLED, "the site has removed this client");
		return err_fix(err, "enrol this machine anew: packway reset, then packway enroll");
	}
	err_set(err, ERR_NOT_ENROLLED, "the site has not let this client in yet");
	return err_fix(err, "let the site's admin do so: packway-site client approve %s",
		       c->id.client);
}

/*
 * The program may be advertised more than once: the first that may run now, else the first, whose
 * state says why it may not.
 */
static bool find_offer(size_t *index_out, struct schedule_verdict *v, struct cycle *c,
		       const json_t *request, struct err *err)
{
	const struct schedule_content ready = { .ready = true, .until_s = SCHEDULE_NEVER };
	const char *package, *program;
	struct schedule_facts facts;

	if (!jsondoc_need_text(&package, request, "package", err) ||
	    !jsondoc_need_text(&program, request, "program", err))
		return false;
	read_facts(&facts, c);
	facts.by_hand = true;
	*index_out = SIZE_MAX;
	for (size_t i = 0; (i = assigned_find(&c->plan, package, program, i)) != SIZE_MAX; i++) {
		struct schedule_verdict here = { 0 };

		if (!permit_offers(c->job->caller,
				   jsondoc_text(assigned_row(&c->plan, i), "offer_to")))
			continue;
		schedule_evaluate(&here, &c->plan.assignments[i], &ready, &facts);
		if (*index_out != SIZE_MAX && !is_runnable(&here))
			continue;
		*index_out = i;
		*v = here;
		if (is_runnable(v))
			return true;
	}
	if (*index_out != SIZE_MAX)
		return true;
	err_set(err, ERR_NOT_FOUND, "%s of %s is not offered to this client", program, package);
	return err_fix(err, "see what is offered: packway list");
}

static bool is_allowed(const struct schedule_verdict *v, struct err *err)
{
	if (is_runnable(v))
		return true;
	if (v->state == SCHEDULE_SUCCEEDED) {
		err_set(err, ERR_REFUSED, "it has run already, and may run once");
		return err_fix(err,
			       "let the site's admin allow more: program add … --rerun always");
	}
	return err_set(err, ERR_REFUSED, "it cannot run now: %s%s%s", schedule_state_name(v->state),
		       v->reason != SCHEDULE_NO_REASON ? ", " : "",
		       schedule_reason_name(v->reason));
}

static bool tell_outcome(json_t **result_out, const struct cycle *c, size_t index, struct err *err)
{
	const struct schedule_assignment *a = &c->plan.assignments[index];
	const struct journal_run *run = journal_last(&c->runs, a->advertisement, a->serial);
	json_t *result;

	if (run == NULL || run->phase != JOURNAL_ENDED)
		return err_set(err, ERR_INTERRUPTED, "nobody saw how it ended");
	if (run->outcome != JOURNAL_SUCCEEDED && run->outcome != JOURNAL_SUCCEEDED_RESTART)
		return err_set(err, ERR_PROGRAM, "the program's outcome is %s, exit code %d",
			       journal_outcome_name(run->outcome), run->code);
	result = json_object();
	jsondoc_set_text(result, "outcome", journal_outcome_name(run->outcome));
	jsondoc_set_int(result, "exit", run->code);
	jsondoc_set_flag(result, "restart_pending", run->restart_pending);
	*result_out = result;
	return true;
}

bool cycle_run(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	SCOPED(cycle) struct cycle c = { .journal = JOURNAL_CLOSED };
	SCOPED_TEXT char *path = NULL;
	SCOPED_TEXT char *way = NULL;
	SCOPED_FD int lock = -1;
	struct run_summary runs;
	struct schedule_verdict v = { 0 };
	struct err ignored;
	size_t index;
	bool done;

	job->for_person = true;
	if (!state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) || !begin(&c, job, err) ||
	    !is_let_in(&c, err) || !collect(&runs, &c, err) ||
	    !assigned_load(&c.plan, job->state, err) || !tell_received(&c, err))
		return false;
	look_at_outbox(&c);
	if (!find_offer(&index, &v, &c, request, err) || !is_allowed(&v, err))
		return false;
	done = fetch(&path, &way, &c, index, FETCH_MISSING, err) &&
	       run_assignment(&c, index, path, way, v.again, err) &&
	       tell_outcome(result_out, &c, index, err);
	if (!assigned_save(&c.plan, job->state, &ignored) || !deliver(&c, &ignored))
		log_debug("records wait: %s", ignored.why);
	return done;
}
