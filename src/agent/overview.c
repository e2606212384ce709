#include "agent/overview.h"

#include <unistd.h>

#include "agent/assigned.h"
#include "agent/inventory.h"
#include "agent/journal.h"
#include "agent/outbox.h"
#include "agent/rekey.h"
#include "common/alloc.h"

#define JOURNAL_WAIT_MS 30000
#define OUTBOX_WAIT_MS  10000
#define MESSAGES_MAX    1000

static json_t *new_offer(const struct assigned *plan, size_t i, const struct schedule_verdict *v)
{
	const json_t *row = assigned_row(plan, i);
	json_t *offer = json_object();
	const char *reason = schedule_reason_name(v->reason);

	jsondoc_set_text(offer, "advertisement", jsondoc_text(row, "advertisement"));
	jsondoc_set_text(offer, "package", jsondoc_text(row, "package"));
	jsondoc_set_text(offer, "program", jsondoc_text(row, "program"));
	jsondoc_set_int(offer, "version", jsondoc_int(row, "version", 0));
	jsondoc_set_text(offer, "state", schedule_state_name(v->state));
	jsondoc_set_text(offer, "reason",
			 v->text != NULL     ? v->text
			 : reason[0] != '\0' ? reason
					     : NULL);
	if (v->until_s != SCHEDULE_NEVER)
		jsondoc_set_time(offer, "time", v->until_s);
	else
		jsondoc_set(offer, "time", json_null());
	jsondoc_set_flag(offer, "restart_pending", v->restart_pending);
	return offer;
}

static bool load_runs(struct journal_list *out, const struct state *st, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(st, "journal");
	SCOPED(journal) struct journal journal = JOURNAL_CLOSED;

	return journal_open(&journal, dir, JOURNAL_WAIT_MS, err) &&
	       journal_load(out, &journal, err);
}

bool overview_list(json_t **out, const struct state *st, const struct clock *clock, struct err *err)
{
	SCOPED(assigned) struct assigned plan;
	SCOPED(journal_list) struct journal_list runs = { 0 };
	struct schedule_facts facts = { .now_s = clock_wall_s(clock), .journal = &runs };

	if (!assigned_load(&plan, st, err))
		return false;
	if (!load_runs(&runs, st, err))
		return false;
	facts.policy_expired = plan.expires_s <= facts.now_s;
	*out = json_array();
	for (size_t i = 0; i < plan.count; i++) {
		struct schedule_verdict v;

		schedule_evaluate(&v, &plan.assignments[i], &plan.contents[i], &facts);
		json_array_append_new(*out, new_offer(&plan, i, &v));
	}
	return true;
}

static void put_trust(json_t *status, const struct state *st, const json_t *plan, int64_t now_s)
{
	const json_t *trusted = json_object_get(plan, "trusted");
	json_auto_t *met = NULL;
	int64_t expires_s = schedule_time(trusted, "expires");
	struct err err;

	if (!state_read_json(&met, st, STATE_STATUS, &err))
		met = NULL;
	jsondoc_set_text(status, "policy",
			 trusted == NULL      ? "none"
			 : expires_s <= now_s ? "expired"
					      : "in force");
	jsondoc_set(status, "policy_version", json_integer(jsondoc_int(trusted, "timestamp", 0)));
	jsondoc_set_text(status, "policy_expires", jsondoc_text(trusted, "expires"));
	jsondoc_set_text(status, "clock",
			 jsondoc_int(met, "clock_behind_s", 0) > STATE_CLOCK_FAR_BEHIND
				 ? "behind what was seen before [PW-CLOCK]"
				 : "fine");
	jsondoc_set_text(status, "verdict", jsondoc_text(met, "verdict"));
	jsondoc_set_text(status, "verdict_since", jsondoc_text(met, "verdict_since"));
	jsondoc_set_text(status, "verdict_attack", jsondoc_text(met, "verdict_attack"));
	jsondoc_set_text(status, "verdict_server", jsondoc_text(met, "verdict_server"));
	jsondoc_set_text(status, "verdict_text", jsondoc_text(met, "verdict_text"));
	jsondoc_set_text(status, "last_refresh", jsondoc_text(met, "last_refresh"));
}

static void put_runs(json_t *status, const struct state *st)
{
	SCOPED(journal_list) struct journal_list runs = { 0 };
	bool pending = false;
	struct err err;

	if (!load_runs(&runs, st, &err))
		return;
	for (size_t i = 0; i < runs.count; i++)
		pending = pending || runs.runs[i].restart_pending;
	jsondoc_set_flag(status, "restart_pending", pending);
}

static void put_outbox(json_t *status, const struct state *st, const char *stream)
{
	SCOPED_TEXT char *dir = state_path(st, "outbox");
	SCOPED(outbox) struct outbox *outbox = NULL;
	json_auto_t *last = NULL;
	struct err err;

	if (!outbox_open(&outbox, dir, stream, 0, OUTBOX_WAIT_MS, &err))
		return;
	if (outbox_waiting(outbox) == 0 || !state_read_json(&last, st, STATE_UPLOAD, &err))
		last = NULL;
	jsondoc_set_int(status, "outbox_records", (int64_t)outbox_waiting(outbox));
	jsondoc_set_flag(status, "outbox_full", outbox_is_full(outbox));
	jsondoc_set_text(status, "outbox_why", jsondoc_text(last, "why"));
}

static void put_leaks(json_t *status, const struct state *st)
{
	json_auto_t *doc = NULL;
	struct err err;

	if (!state_read_json(&doc, st, STATE_SESSIONS, &err))
		doc = NULL;
	jsondoc_set_int(status, "leaks", jsondoc_int(doc, "leaks", 0));
}

bool overview_status(json_t **out, const struct state *st, const struct clock *clock,
		     struct err *err)
{
	SCOPED(state_identity) struct state_identity id = { 0 };
	json_auto_t *plan = NULL;
	json_t *status;

	if (!state_load_identity(&id, st, err) || !state_read_json(&plan, st, "plan.json", err))
		return false;
	status = json_object();
	jsondoc_set_text(status, "client", id.client[0] != '\0' ? id.client : NULL);
	jsondoc_set_text(status, "site",
			 jsondoc_text(plan, "site") != NULL ? jsondoc_text(plan, "site") : id.site);
	jsondoc_set_text(status, "state", state_enrolment_name(id.enrolment));
	if (id.enrolment != STATE_NONE)
		jsondoc_set_text(status, "key", rekey_state(st));
	jsondoc_set_text(status, "privilege", geteuid() == 0 ? "root" : "unprivileged");
	put_trust(status, st, plan, clock_wall_s(clock));
	put_leaks(status, st);
	if (id.enrolment != STATE_NONE) {
		put_runs(status, st);
		put_outbox(status, st, id.stream);
	}
	*out = status;
	return true;
}

/* A record says what it is about; a list has the same names in every row. */
static void complete_message(json_t *row, const char *client)
{
	static const char *const names[] = { "package", "program", "advertisement" };

	jsondoc_set_text(row, "client", client);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (json_object_get(row, names[i]) == NULL)
			json_object_set_new(row, names[i], json_null());
}

/* Inventory has a number in the stream too, but is no event. */
static json_t *messages_of(json_t *records, const char *client)
{
	json_t *messages = json_array();
	size_t index;
	json_t *record;

	json_array_foreach (records, index, record) {
		if (json_object_get(record, "id") == NULL)
			continue;
		complete_message(record, client);
		json_array_append(messages, record);
	}
	return messages;
}

bool overview_messages(json_t **out, const struct state *st, struct err *err)
{
	SCOPED(state_identity) struct state_identity id = { 0 };
	SCOPED_TEXT char *dir = state_path(st, "outbox");
	SCOPED(outbox) struct outbox *outbox = NULL;
	json_auto_t *records = NULL;

	if (!state_load_identity(&id, st, err))
		return false;
	if (id.enrolment == STATE_NONE) {
		*out = json_array();
		return true;
	}
	if (!outbox_open(&outbox, dir, id.stream, 0, OUTBOX_WAIT_MS, err) ||
	    !outbox_recent(&records, outbox, MESSAGES_MAX, err))
		return false;
	*out = messages_of(records, id.client);
	return true;
}

bool overview_inventory(json_t **out, const struct job_settings *settings, struct err *err)
{
	SCOPED_TEXT char *machine = state_machine_id();
	const struct inventory_options options = {
		.address = settings->address,
		.name = settings->name,
		.machine = machine,
	};

	(void)err;
	*out = inventory_take(&options);
	return true;
}
