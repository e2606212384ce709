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
#include "agent/mountpoint.h"
#include "agent/offer.h"
#include "agent/overview.h"
#include "agent/permit.h"
#include "agent/quiet.h"
#include "agent/run.h"
#include "agent/supply.h"
#include "agent/teller.h"
#include "common/alloc.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/path.h"

#define CYCLE_WAIT_MS   600000
#define JOURNAL_WAIT_MS 30000
#define PATIENCE_MS     2000 /* for a program before the cycle goes on without its end */
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
	struct teller teller;
	struct supply supply;
	size_t running; /* programs when it was last looked */
	size_t ran;
	size_t sent;
	bool changed;
	bool refreshed;           /* or tried, by an earlier cycle of the same request as well */
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
	c->teller = (struct teller){ .job = job, .stream = c->id.stream, .plan = &c->plan };
	c->supply = (struct supply){ .job = job, .plan = &c->plan };
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
	if (run_collect(summary, &c->journal, c->job->clock, teller_keep, &c->teller, err))
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

/* Nothing is refused for it: the time of the last accepted policy is used instead. */
static void warn_of_clock(const struct cycle *c, int64_t behind_s)
{
	int64_t now_s = clock_wall_s(c->job->clock);
	char now[CLOCK_TEXT_MAX], seen[CLOCK_TEXT_MAX];

	if (behind_s <= STATE_CLOCK_FAR_BEHIND)
		return;
	clock_print(now, now_s);
	clock_print(seen, now_s + behind_s);
	log_warn("this machine's clock says %s, and policy was accepted at %s, which is used "
		 "instead: set the clock [PW-CLOCK]",
		 now, seen);
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
	if (targets == NULL)
		warn_of_clock(c, jsondoc_int(answer, "clock_behind_s", 0));
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

	if (!state_read_json(&cap, c->job->state, STATE_CAP, &ignored))
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
	teller_policy(&c->teller, before, plan);
	teller_refused(&c->teller, before, plan);
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

	c->outbox_full = !teller_open(&outbox, &c->teller, &err) || outbox_is_full(outbox);
}

/*
 * A moment of patience for a program that is done at once; what takes longer goes on while the
 * cycle does the rest. Tells what can be told by then.
 */
static bool see_run(struct cycle *c, struct err *err)
{
	uint64_t end_ms = clock_mono_ms(c->job->clock) + PATIENCE_MS;
	struct run_summary summary;
	unsigned int look_ms = 0;

	do {
		run_pause(&look_ms);
		if (!collect(&summary, c, err))
			return false;
	} while (summary.running > 0 && clock_mono_ms(c->job->clock) < end_ms);
	c->running = summary.running;
	return true;
}

/* Without the cycle's lock: polls, records and other commands go on meanwhile. */
static bool wait_for_end(struct job *job, const struct run_key *only, uint64_t limit_ms,
			 struct err *err)
{
	SCOPED_TEXT char *dir = state_path(job->state, "journal");

	/* A guest has the shared worker alone: not for as long as a program takes. */
	if (permit_is_guest(job->caller))
		job_finish(job);
	return run_wait(dir, only, limit_ms, job->clock, err);
}

static enum run_start start(struct cycle *c, size_t i, char **path, char **way,
			    enum journal_again again, struct err *err)
{
	SCOPED_FD int pin = -1;
	struct run_request request = {
		.assignment = assigned_row(&c->plan, i),
		.client = c->id.client,
		.again = again,
		.reaper = c->reaper,
	};
	enum run_start result;

	quiet_forget(c->job->state);
	if (!supply_hold(&pin, path, way, &c->supply, i, err) || !open_journal(c, err))
		return RUN_FAULT;
	request.pin = pin;
	request.content = *path;
	request.way = *way;
	result = run_start(&c->journal, &request, c->job->clock, err);
	journal_close(&c->journal);
	return result;
}

static bool run_assignment(struct cycle *c, size_t i, char **path, char **way,
			   enum journal_again again, struct err *err)
{
	switch (start(c, i, path, way, again, err)) {
	case RUN_STARTED:
		c->ran++;
		return see_run(c, err);
	case RUN_HAS_RUN:
	case RUN_IS_BUSY:
		return see_run(c, err);
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
	if (!supply_prepare(&path, &way, &c->supply, i, &err))
		return false;
	schedule_evaluate(&v, &c->plan.assignments[i], &c->plan.contents[i], &facts);
	if (v.state != SCHEDULE_DUE)
		return false;
	if (run_assignment(c, i, &path, &way, v.again, &err))
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

static void judge_all(struct quiet *out, struct cycle *c)
{
	struct schedule_verdict *verdicts = alloc_zeroed(c->plan.count, sizeof(*verdicts));
	SCOPED(outbox) struct outbox *outbox = NULL;
	struct schedule_facts facts;
	struct err ignored;

	c->teller.untold = !teller_open(&outbox, &c->teller, &ignored) || c->teller.untold;
	*out = (struct quiet){ .expires_s = c->plan.expires_s };
	read_facts(&facts, c);
	for (size_t i = 0; i < c->plan.count; i++) {
		schedule_evaluate(&verdicts[i], &c->plan.assignments[i], &c->plan.contents[i],
				  &facts);
		if (outbox != NULL)
			teller_verdict(&c->teller, outbox, i, &verdicts[i]);
		out->waiting += verdicts[i].state == SCHEDULE_WAITING;
		out->failed += verdicts[i].state == SCHEDULE_FAILED;
	}
	out->next_s = schedule_next(verdicts, c->plan.count);
	free(verdicts);
}

static bool has_open_run(const struct cycle *c)
{
	for (size_t i = 0; i < c->runs.count; i++)
		if (!c->runs.runs[i].settled && c->runs.runs[i].phase != JOURNAL_UNSTARTED)
			return true;
	return false;
}

/* A run has ended and could not be told. */
static bool has_untold_end(const struct cycle *c)
{
	for (size_t i = 0; i < c->runs.count; i++)
		if (!c->runs.runs[i].settled && c->runs.runs[i].phase == JOURNAL_ENDED)
			return true;
	return false;
}

/* True if what is open now may change without the time, policy or inventory changing. */
static bool may_change(const struct cycle *c)
{
	return has_open_run(c) || json_object_size(c->plan.waits) > 0 ||
	       c->refresh_error.code != ERR_NONE || c->outbox_full || c->teller.untold;
}

static void keep_quiet(const struct cycle *c, const struct quiet *q)
{
	SCOPED_TEXT char *inputs = inputs_of(c);

	quiet_keep(c->job->state, q, may_change(c) ? NULL : inputs, clock_wall_s(c->job->clock));
}

static json_t *new_summary(const struct cycle *c, const struct quiet *q)
{
	json_t *result = json_object();

	jsondoc_set_text(result, "state", state_enrolment_name(c->id.enrolment));
	jsondoc_set_flag(result, "changed", c->changed);
	jsondoc_set_int(result, "ran", (int64_t)c->ran);
	jsondoc_set_int(result, "waiting", (int64_t)q->waiting);
	jsondoc_set_int(result, "failed", (int64_t)q->failed);
	jsondoc_set_int(result, "sent", (int64_t)c->sent);
	jsondoc_set_int(result, "running", (int64_t)c->running);
	jsondoc_set_flag(result, "untold", has_untold_end(c));
	return result;
}

/* Nothing changed and nothing is due by time: true, with the counts of the last full look. */
static bool is_quiet(json_t **result_out, struct cycle *c, const struct run_summary *runs)
{
	SCOPED_TEXT char *inputs = NULL;
	struct quiet q;

	if (runs->running > 0 || runs->ended > 0 || c->refresh_error.code != ERR_NONE)
		return false;
	inputs = inputs_of(c);
	if (!quiet_holds(&q, c->job->state, inputs, clock_wall_s(c->job->clock)))
		return false;
	*result_out = new_summary(c, &q);
	return true;
}

static bool deliver(struct cycle *c, struct err *err)
{
	size_t sent = 0;
	bool done = jobs_deliver(&sent, c->job, &c->id, err);

	c->sent += sent;
	if (done)
		return true;
	/* Records wait; that a CAP is away was told by the refresh already. */
	log_debug("records wait: %s", err->why);
	return c->refresh_error.code != ERR_NONE || err_exit(err->code) != EXIT_LOCAL;
}

/* The cycle of a client that the site knows. */
static bool work(json_t **result_out, struct cycle *c, struct err *err)
{
	struct run_summary runs;
	struct quiet found;

	if (!collect(&runs, c, err) || !take_inventory(c, err))
		return false;
	c->running = runs.running;
	if (is_quiet(result_out, c, &runs)) {
		teller_inventory(&c->teller, c->inventory);
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
	if (!teller_received(&c->teller, err))
		return false;
	run_what_is_due(c);
	judge_all(&found, c);
	if (!assigned_save(&c->plan, c->job->state, err))
		return false;
	keep_quiet(c, &found);
	teller_inventory(&c->teller, c->inventory);
	if (!deliver(c, err))
		return false;
	*result_out = new_summary(c, &found);
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

	if (!c->refreshed && !refresh(c, NULL, &c->refresh_error)) {
		/* What was trusted stays in force; without any there is nothing to do. */
		if (!has_policy(c) || err_exit(c->refresh_error.code) == EXIT_LOCAL) {
			*err = c->refresh_error;
			return false;
		}
		log_debug("%s", c->refresh_error.why); /* told at the end of the cycle */
	}
	c->refreshed = true;
	if (c->id.enrolment != STATE_ENROLLED) {
		if (!jobs_deliver(&sent, c->job, &c->id, err) && c->refresh_error.code == ERR_NONE)
			return false;
		if (c->id.enrolment != STATE_ENROLLED) {
			*result_out = new_summary(c, &(struct quiet){ 0 });
			return true;
		}
	}
	return work(result_out, c, err);
}

static bool one_cycle(json_t **result_out, struct cycle *c, struct job *job, struct err *err)
{
	SCOPED_FD int lock = -1;

	return state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) && begin(c, job, err) &&
	       run_cycle(result_out, c, err);
}

/* What the next cycle of the same request takes over. */
static void go_on(struct cycle *next, const struct cycle *c)
{
	*next = (struct cycle){
		.journal = JOURNAL_CLOSED,
		.refreshed = c->refreshed,
		.refresh_error = c->refresh_error,
		.changed = c->changed,
		.ran = c->ran,
		.sent = c->sent,
	};
}

/*
 * A person waits for the programs as well, and what follows them is run in cycles of the same
 * request. The schedule's own cycle ends; the agent begins another when a program has ended.
 */
static bool cycle_until_done(json_t **result_out, struct cycle *last, struct job *job,
			     struct err *err)
{
	*last = (struct cycle){ .journal = JOURNAL_CLOSED };
	while (one_cycle(result_out, last, job, err)) {
		struct cycle next;

		if (last->running == 0 || !job->for_person)
			return true;
		json_decref(*result_out);
		*result_out = NULL;
		if (!wait_for_end(job, NULL, RUN_FOR_EVER, err))
			return false;
		go_on(&next, last);
		cycle_scoped(last);
		*last = next;
	}
	return false;
}

bool cycle_sync(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	SCOPED(cycle) struct cycle c;

	job->for_person = jsondoc_flag(request, "for_person", true);
	if (job->for_person)
		mountpoint_reconcile(job); /* the agent's own is at its start */
	if (!cycle_until_done(result_out, &c, job, err))
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

static struct run_key key_of(const struct cycle *c, size_t index)
{
	const struct schedule_assignment *a = &c->plan.assignments[index];
	struct run_key key = { .serial = a->serial };

	snprintf(key.advertisement, sizeof(key.advertisement), "%s", a->advertisement);
	return key;
}

static bool tell_outcome(json_t **result_out, const struct cycle *c, const struct run_key *key,
			 struct err *err)
{
	const struct journal_run *run = journal_last(&c->runs, key->advertisement, key->serial);
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

enum begun {
	BEGUN,
	BEGUN_LATER, /* another program has to end first */
	BEGUN_FAULT, /* see err */
};

/* Start the program, upload that it runs, and let go of the cycle's lock. */
static enum begun begin_by_hand(struct run_key *key_out, struct job *job, const json_t *request,
				struct err *err)
{
	SCOPED_FD int lock = -1;
	SCOPED(cycle) struct cycle c = { .journal = JOURNAL_CLOSED };
	SCOPED_TEXT char *path = NULL;
	SCOPED_TEXT char *way = NULL;
	struct schedule_facts facts;
	struct schedule_verdict v;
	struct run_summary runs;
	struct err ignored;
	size_t index;
	bool done;

	if (!state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) || !begin(&c, job, err) ||
	    !is_let_in(&c, err) || !collect(&runs, &c, err) ||
	    !assigned_load(&c.plan, job->state, err) || !teller_received(&c.teller, err))
		return BEGUN_FAULT;
	look_at_outbox(&c);
	read_facts(&facts, &c);
	if (!offer_find(&index, &v, &c.plan, &facts, job->caller, request, err))
		return BEGUN_FAULT;
	*key_out = key_of(&c, index);
	done = v.reason == SCHEDULE_BUSY || (supply_prepare(&path, &way, &c.supply, index, err) &&
					     run_assignment(&c, index, &path, &way, v.again, err));
	if (!assigned_save(&c.plan, job->state, &ignored) || !deliver(&c, &ignored))
		log_debug("records wait: %s", ignored.why);
	if (!done)
		return BEGUN_FAULT;
	return v.reason == SCHEDULE_BUSY ? BEGUN_LATER : BEGUN;
}

/* The programs of a client run one after another. */
static bool begin_when_free(struct run_key *key_out, struct job *job, const json_t *request,
			    struct err *err)
{
	uint64_t end_ms = clock_mono_ms(job->clock) + CYCLE_WAIT_MS;

	for (;;) {
		uint64_t now_ms = clock_mono_ms(job->clock);
		enum begun begun = begin_by_hand(key_out, job, request, err);

		if (begun != BEGUN_LATER)
			return begun == BEGUN;
		if (!wait_for_end(job, NULL, end_ms > now_ms ? end_ms - now_ms : 0, err))
			return false;
	}
}

static bool end_by_hand(json_t **result_out, struct job *job, const struct run_key *key,
			struct err *err)
{
	SCOPED_FD int lock = -1;
	SCOPED(cycle) struct cycle c = { .journal = JOURNAL_CLOSED };
	struct run_summary runs;
	struct err ignored;
	bool done;

	if (!state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) || !begin(&c, job, err) ||
	    !collect(&runs, &c, err))
		return false;
	done = tell_outcome(result_out, &c, key, err);
	if (!deliver(&c, &ignored))
		log_debug("records wait: %s", ignored.why);
	return done;
}

bool cycle_run(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	struct run_key key;

	job->for_person = true;
	return begin_when_free(&key, job, request, err) &&
	       wait_for_end(job, &key, RUN_FOR_EVER, err) &&
	       end_by_hand(result_out, job, &key, err);
}
