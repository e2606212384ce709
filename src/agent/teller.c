#include "agent/teller.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/inventory.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/message.h"

#define OUTBOX_WAIT_MS 10000

bool teller_open(struct outbox **out, const struct teller *t, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(t->job->state, "outbox");

	return outbox_open(out, dir, t->stream, 0, OUTBOX_WAIT_MS, err);
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

static void pass_on(const struct teller *t, const json_t *record)
{
	json_auto_t *event = json_pack("{s:s,s:O}", "event", "record", "record", record);

	if (t->job->event != NULL)
		(void)t->job->event(event, t->job->event_ctx);
}

bool teller_keep(const json_t *record, const char *key, void *ctx, struct err *err)
{
	const struct teller *t = ctx;
	SCOPED(outbox) struct outbox *outbox = NULL;

	if (!teller_open(&outbox, t, err) ||
	    !is_kept(outbox_append_end(outbox, record, key, err), err))
		return false;
	pass_on(t, record);
	return true;
}

/*
 * Tell once that an assignment has come into a state; `text` and `data` are taken over. The key
 * keeps it at once where a kill comes before assigned_save. What a full outbox has no room for is
 * told later; it is no reason to stop, for new programs wait for it.
 */
static void tell_once(struct teller *t, struct outbox *outbox, size_t index, const char *state,
		      enum message_id id, json_t *text, json_t *data)
{
	const json_t *row = assigned_row(t->plan, index);
	const struct message_about about = {
		.advertisement = jsondoc_text(row, "advertisement"),
		.package = jsondoc_text(row, "package"),
		.version = jsondoc_int(row, "version", 0),
		.program = jsondoc_text(row, "program"),
	};
	json_auto_t *record = message_new(id, clock_wall_s(t->job->clock), &about, text, data);
	SCOPED_TEXT char *key = assigned_key(t->plan, index, state);
	struct err err;

	if (!is_kept(outbox_append(outbox, record, key, &err), &err)) {
		log_warn("record %d is not kept: %s", id, err.why);
		t->untold = true;
		return;
	}
	assigned_tell(t->plan, index, state);
	pass_on(t, record);
}

void teller_policy(struct teller *t, const json_t *before, const json_t *now)
{
	const json_t *trusted = json_object_get(now, "trusted");
	int64_t version = jsondoc_int(trusted, "timestamp", 0);
	json_auto_t *status = NULL;
	SCOPED_TEXT char *key = alloc_printf("policy/%" PRId64, version);
	json_auto_t *record = NULL;
	const char *cap;
	json_t *data;
	struct err err;

	if (version == jsondoc_int(json_object_get(before, "trusted"), "timestamp", 0))
		return;
	if (!state_read_json(&status, t->job->state, STATE_STATUS, &err))
		return;
	cap = jsondoc_text(status, "verdict_server");
	data = json_object();
	jsondoc_set_int(data, "timestamp", version);
	jsondoc_set_text(data, "cap", cap);
	record = message_new(MESSAGE_POLICY_SEEN, clock_wall_s(t->job->clock), NULL,
			     json_sprintf("policy version %" PRId64 " from %s", version,
					  cap != NULL ? cap : "a CAP"),
			     data);
	if (!teller_keep(record, key, t, &err))
		log_warn("record %d is not kept: %s", MESSAGE_POLICY_SEEN, err.why);
}

void teller_refused(struct teller *t, const json_t *before, const json_t *now)
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
		const struct message_about about = { .advertisement = adv };
		json_auto_t *record = message_new(
			MESSAGE_REJECTED, clock_wall_s(t->job->clock), &about,
			json_sprintf("rejected: %s", jsondoc_text(row, "reason")), NULL);

		if (!teller_keep(record, key, t, &err))
			log_warn("record %d is not kept: %s", MESSAGE_REJECTED, err.why);
	}
}

static void tell_wait(struct teller *t, struct outbox *outbox, size_t i,
		      const struct schedule_verdict *v)
{
	const char *reason = schedule_reason_name(v->reason);
	char until[CLOCK_TEXT_MAX] = "";
	json_t *data = json_object();

	if (v->until_s != SCHEDULE_NEVER)
		clock_print(until, v->until_s);
	jsondoc_set_text(data, "reason", reason);
	jsondoc_set_text(data, "until", until[0] != '\0' ? until : NULL);
	tell_once(t, outbox, i, reason, MESSAGE_WAITING,
		  json_sprintf("waits: %s%s%s%s", v->text != NULL ? v->text : reason,
			       until[0] != '\0' ? " (until " : "", until,
			       until[0] != '\0' ? ")" : ""),
		  data);
}

void teller_verdict(struct teller *t, struct outbox *outbox, size_t i,
		    const struct schedule_verdict *v)
{
	const char *reason = schedule_reason_name(v->reason);

	if (v->state == SCHEDULE_EXPIRED && !assigned_is_told(t->plan, i, "expired"))
		tell_once(t, outbox, i, "expired", MESSAGE_EXPIRED,
			  json_string("expired before it could run"), NULL);
	if (v->state == SCHEDULE_STOPPED && !assigned_is_told(t->plan, i, "stopped"))
		tell_once(t, outbox, i, "stopped", MESSAGE_STOPPED,
			  json_string("stopped by the site"), NULL);
	if (v->state == SCHEDULE_REJECTED && !assigned_is_told(t->plan, i, "rejected"))
		tell_once(t, outbox, i, "rejected", MESSAGE_REJECTED,
			  json_sprintf("rejected: %s", v->text != NULL ? v->text : ""), NULL);
	if (v->state == SCHEDULE_WAITING && !assigned_is_told(t->plan, i, reason))
		tell_wait(t, outbox, i, v);
}

bool teller_received(struct teller *t, struct err *err)
{
	SCOPED(outbox) struct outbox *outbox = NULL;

	if (!teller_open(&outbox, t, err))
		return false;
	for (size_t i = 0; i < t->plan->count; i++)
		if (assigned_is_new(t->plan, i))
			tell_once(t, outbox, i, "received", MESSAGE_RECEIVED,
				  json_string("received"), NULL);
	return true;
}

void teller_inventory(const struct teller *t, json_t *inventory)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	json_auto_t *sent = NULL;
	json_auto_t *record = NULL;
	char digest[17];
	const char *before;
	struct err err;

	snprintf(digest, sizeof(digest), "%016" PRIx64, inventory_fingerprint(inventory));
	if (!state_read_json(&sent, t->job->state, "inventory.json", &err))
		return;
	before = jsondoc_text(sent, "digest");
	if (!teller_open(&outbox, t, &err)) {
		log_warn("the inventory is not kept: %s", err.why);
		return;
	}
	if (before != NULL && strcmp(before, digest) == 0 && !outbox_lacks_inventory(outbox))
		return;
	record = inventory_record(inventory, clock_wall_s(t->job->clock));
	if (!is_kept(outbox_put_inventory(outbox, record, &err), &err)) {
		log_warn("the inventory is not kept: %s", err.why);
		return;
	}
	json_decref(sent);
	sent = json_object();
	jsondoc_set_text(sent, "digest", digest);
	if (!state_write_json(t->job->state, "inventory.json", sent, &err))
		log_warn("inventory.json: %s", err.why);
}
