#include "agent/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper.h"
#include "agent/outbox.h"
#include "agent/rekey.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/message.h"
#include "common/path.h"
#include "common/random.h"
#include "common/text.h"

#define CYCLE_WAIT_MS  600000
#define OUTBOX_WAIT_MS 10000
/* Without a receipt for so long an envelope is sent anew; at once where somebody waits. */
#define SEND_AGAIN_S 900
#define OVERDUE_S    60 /* since a CAP had it: sent again, it goes to another */

static bool open_outbox(struct outbox **out, const struct job *job, const char *stream,
			struct err *err)
{
	SCOPED_TEXT char *dir = state_path(job->state, "outbox");

	return outbox_open(out, dir, stream, 0, OUTBOX_WAIT_MS, err);
}

static void pass_record(struct job *job, const json_t *record)
{
	json_auto_t *event = json_object();

	jsondoc_set_text(event, "event", "record");
	jsondoc_set(event, "record", json_incref((json_t *)(uintptr_t)record));
	if (job->event != NULL)
		(void)job->event(event, job->event_ctx);
}

bool jobs_record(struct job *job, json_t *record, struct err *err)
{
	json_auto_t *owned = record;
	SCOPED(state_identity) struct state_identity id;
	SCOPED(outbox) struct outbox *outbox = NULL;

	if (!state_load_identity(&id, job->state, err))
		return false;
	if (id.enrolment == STATE_NONE)
		return true;
	if (!open_outbox(&outbox, job, id.stream, err))
		return false;
	switch (outbox_append(outbox, owned, NULL, err)) {
	case OUTBOX_KEPT:
		pass_record(job, owned);
		return true;
	case OUTBOX_KNOWN:
		return true;
	case OUTBOX_FULL:
		return err_set(err, ERR_OUTBOX_FULL, "records wait for a CAP and fill their room");
	case OUTBOX_FAULT:
	default:
		return false;
	}
}

/* ---- enrolment ---- */

static bool refuse_second_enrolment(const struct job *job, struct err *err)
{
	SCOPED(state_identity) struct state_identity id;

	if (!state_load_identity(&id, job->state, err))
		return false;
	if (id.enrolment != STATE_ENROLLED)
		return true;
	err_set(err, ERR_REFUSED, "this machine is client %s of site %s already", id.client,
		id.site);
	return err_fix(err, "to move it to another site: packway reset, then enrol again");
}

static bool found(struct job *job, const json_t *request, struct err *err)
{
	json_auto_t *question = json_object();
	json_auto_t *answer = NULL;
	json_t *root = json_object_get(request, "root");
	SCOPED(buf) struct buf text = { 0 };

	if (!json_is_object(root))
		return err_set(err, ERR_USAGE, "the site's trusted root is missing");
	jsondoc_write(&text, root);
	jsondoc_set_text(question, "op", "found");
	jsondoc_set(question, "caps", json_incref(json_object_get(request, "caps")));
	jsondoc_set_text(question, "root", buf_text(&text));
	return job_ask_offline(&answer, job, question, err);
}

static json_t *new_enrol_question(const struct state_identity *id, const struct job *job,
				  const char *token)
{
	json_t *question = json_object(), *enrol = json_object();
	char host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	jsondoc_set_text(enrol, "token", token);
	jsondoc_set_text(enrol, "name", job->settings->name != NULL ? job->settings->name : host);
	jsondoc_set_text(question, "op", "seal");
	jsondoc_set_text(question, "stream", id->stream);
	jsondoc_set(question, "enrol", enrol);
	return question;
}

static bool refresh(struct job *job, struct err *err)
{
	json_auto_t *question = json_pack("{s:s,s:b}", "op", "refresh", "force", 1);
	json_auto_t *answer = NULL;

	return job_ask_worker(&answer, job, question, err);
}

bool jobs_send_file(struct job *job, const json_t *sealed, struct err *err)
{
	json_auto_t *question = json_object();
	json_auto_t *answer = NULL;
	json_t *envelopes = json_array();
	bool done;

	json_array_append(envelopes, (json_t *)(uintptr_t)sealed);
	jsondoc_set_text(question, "op", "upload");
	jsondoc_set(question, "envelopes", envelopes);
	done = job_ask_worker(&answer, job, question, err);
	(void)unlink(jsondoc_text(sealed, "file"));
	if (!done)
		return false;
	if (json_array_size(json_object_get(answer, "sent")) == 1)
		return true;
	return err_set(err, ERR_NO_CANDIDATE, "no CAP takes this client's key: %s",
		       jsondoc_text(answer, "why"));
}

/* The identity learns its site from verified policy. */
static bool keep_site(struct state_identity *id, const struct job *job, const char *site,
		      struct err *err)
{
	if (site == NULL || strcmp(site, id->site) == 0)
		return true;
	snprintf(id->site, sizeof(id->site), "%s", site);
	return state_save_identity(job->state, id, err);
}

static bool send_enrolment(struct job *job, const char *token, struct err *err)
{
	SCOPED(state_identity) struct state_identity id;
	json_auto_t *question = NULL;
	json_auto_t *sealed = NULL;

	if (!state_load_identity(&id, job->state, err))
		return false;
	question = new_enrol_question(&id, job, token);
	return job_ask_offline(&sealed, job, question, err) && jobs_send_file(job, sealed, err) &&
	       keep_site(&id, job, jsondoc_text(sealed, "site"), err);
}

bool jobs_enroll(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	SCOPED_FD int lock = -1;

	/* A cycle keeps the identity in hand and would write the old one back. */
	job->for_person = true;
	return state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) &&
	       jobs_enroll_in_cycle(result_out, job, request, err);
}

bool jobs_enroll_in_cycle(json_t **result_out, struct job *job, const json_t *request,
			  struct err *err)
{
	SCOPED(state_identity) struct state_identity id = { 0 };
	size_t sent;

	if (!refuse_second_enrolment(job, err) || !found(job, request, err) || !refresh(job, err) ||
	    !send_enrolment(job, jsondoc_text(request, "token"), err) ||
	    !state_load_identity(&id, job->state, err))
		return false;
	/* A site that runs `serve` may have answered already; if not, the next cycle sees it. */
	if (!jobs_deliver(&sent, job, &id, err))
		log_warn("%s", err->why);
	*result_out = json_object();
	jsondoc_set_text(*result_out, "state", state_enrolment_name(id.enrolment));
	jsondoc_set_text(*result_out, "client", id.client);
	jsondoc_set_text(*result_out, "site", id.site);
	return true;
}

/* ---- records to the site, receipts from it ---- */

struct sealing {
	struct job *job;
	const struct state_identity *id;
};

static bool seal_one(struct outbox_sealed *out, const char *stream, uint64_t first,
		     const char *chain, const json_t *records, void *ctx, struct err *err)
{
	const struct sealing *s = ctx;
	json_auto_t *question = json_object();
	json_auto_t *answer = NULL;

	jsondoc_set_text(question, "op", "seal");
	jsondoc_set_text(question, "client", s->id->client);
	jsondoc_set_text(question, "stream", stream);
	jsondoc_set_int(question, "first", (int64_t)first);
	jsondoc_set_text(question, "chain", chain);
	jsondoc_set(question, "records", json_incref((json_t *)(uintptr_t)records));
	if (!job_ask_offline(&answer, s->job, question, err))
		return false;
	out->name = alloc_text(jsondoc_text(answer, "name"));
	out->file = alloc_text(jsondoc_text(answer, "file"));
	out->chain = alloc_text(jsondoc_text(answer, "chain"));
	return true;
}

static bool collect_due(struct outbox_envelopes *due, uint64_t *waiting_out, struct job *job,
			const struct state_identity *id, struct err *err)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	struct sealing sealing = { .job = job, .id = id };

	if (!open_outbox(&outbox, job, id->stream, err))
		return false;
	/* What the old key seals after it was handed over, the site refuses. */
	if (!rekey_is_under_way(job->state) && !outbox_seal(outbox, seal_one, &sealing, err))
		return false;
	*waiting_out = outbox_waiting(outbox);
	outbox_due(due, outbox, clock_wall_s(job->clock), job->for_person ? 0 : SEND_AGAIN_S);
	return true;
}

/* A CAP took something a while ago, and no receipt came of it. */
static bool is_overdue(const struct job *job, const struct outbox_envelopes *due)
{
	int64_t before_s = clock_wall_s(job->clock) - OVERDUE_S;

	for (size_t i = 0; i < due->count; i++)
		if (due->items[i].sent_s != 0 && due->items[i].sent_s <= before_s)
			return true;
	return false;
}

static json_t *new_upload(const struct job *job, const struct outbox_envelopes *due)
{
	json_t *question = json_object(), *list = json_array();

	for (size_t i = 0; i < due->count; i++) {
		json_t *e = json_object();

		jsondoc_set_text(e, "name", due->items[i].name);
		jsondoc_set_text(e, "file", due->items[i].file);
		json_array_append_new(list, e);
	}
	jsondoc_set_text(question, "op", "upload");
	jsondoc_set(question, "envelopes", list);
	jsondoc_set_flag(question, "for_person", job->for_person);
	jsondoc_set_flag(question, "overdue", is_overdue(job, due));
	return question;
}

static size_t records_in(const struct outbox_envelopes *due, const char *name)
{
	for (size_t i = 0; i < due->count; i++)
		if (strcmp(due->items[i].name, name) == 0)
			return due->items[i].count;
	return 0;
}

static bool mark_all(struct outbox *outbox, const json_t *names, enum outbox_fate fate,
		     int64_t now_s, struct err *err)
{
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		if (!outbox_mark(outbox, json_string_value(name), fate, now_s, err))
			return false;
	return true;
}

/* What one CAP has spoiled, another may have taken since. */
static bool mark(size_t *sent_out, struct job *job, const struct state_identity *id,
		 const struct outbox_envelopes *due, const json_t *answer, struct err *err)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	const json_t *sent = json_object_get(answer, "sent");
	int64_t now_s = clock_wall_s(job->clock);
	const json_t *name;
	size_t i;

	json_array_foreach (sent, i, name)
		*sent_out += records_in(due, json_string_value(name));
	return open_outbox(&outbox, job, id->stream, err) &&
	       mark_all(outbox, json_object_get(answer, "spoiled"), OUTBOX_SPOILED, now_s, err) &&
	       mark_all(outbox, sent, OUTBOX_SENT, now_s, err);
}

/* For `status`: why records are here still, though there was somebody to send them to. */
static void note_waiting(const struct job *job, const char *why)
{
	json_auto_t *doc = json_object();
	SCOPED_TEXT char *path = state_path(job->state, STATE_UPLOAD);
	struct err ignored;

	if (why == NULL) {
		(void)unlink(path);
		return;
	}
	log_warn("some records wait: %s", why);
	jsondoc_set_text(doc, "why", why);
	if (!state_write_json(job->state, STATE_UPLOAD, doc, &ignored))
		log_debug("%s: %s", STATE_UPLOAD, ignored.why);
}

static bool upload(size_t *sent_out, struct job *job, const struct state_identity *id,
		   const struct outbox_envelopes *due, struct err *err)
{
	json_auto_t *question = NULL;
	json_auto_t *answer = NULL;

	if (due->count == 0)
		return true;
	question = new_upload(job, due);
	if (!job_ask_worker(&answer, job, question, err))
		return false;
	note_waiting(job, json_array_size(json_object_get(answer, "sent")) < due->count
				  ? jsondoc_text(answer, "why")
				  : NULL);
	return mark(sent_out, job, id, due, answer, err);
}

static bool start_new_stream(struct state_identity *id, struct job *job, struct outbox *outbox,
			     struct err *err)
{
	uint8_t bytes[16];
	char stream[33];

	random_bytes(bytes, sizeof(bytes));
	text_hex(stream, bytes, sizeof(bytes));
	log_warn(
		"the site knows this client's record numbers from elsewhere (a clone, or a machine "
		"that was put back): a new stream begins");
	if (!outbox_new_stream(outbox, stream, err))
		return false;
	memcpy(id->stream, stream, sizeof(id->stream));
	return state_save_identity(job->state, id, err);
}

static bool apply_stream(struct state_identity *id, struct job *job, const json_t *streams,
			 struct err *err)
{
	SCOPED(outbox) struct outbox *outbox = NULL;
	const json_t *stream;

	if (!open_outbox(&outbox, job, id->stream, err))
		return false;
	stream = json_object_get(streams, outbox_stream(outbox));
	if (stream == NULL)
		return true;
	if (jsondoc_flag(stream, "fork", false))
		return start_new_stream(id, job, outbox, err);
	switch (outbox_apply_receipt(outbox, (uint64_t)jsondoc_int(stream, "high", 0),
				     jsondoc_text(stream, "chain"), err)) {
	case OUTBOX_COVERED:
		return true;
	case OUTBOX_AHEAD:
		return start_new_stream(id, job, outbox, err);
	case OUTBOX_RECEIPT_FAULT:
	default:
		return false;
	}
}

static bool take_state(struct state_identity *id, struct job *job, const char *state,
		       struct err *err)
{
	enum state_enrolment now = id->enrolment;
	json_t *record;

	if (state == NULL)
		return true;
	for (int e = STATE_PENDING; e <= STATE_REMOVED; e++)
		if (strcmp(state, state_enrolment_name((enum state_enrolment)e)) == 0)
			now = (enum state_enrolment)e;
	if (now == id->enrolment)
		return true;
	id->enrolment = now;
	if (!state_save_identity(job->state, id, err))
		return false;
	if (now != STATE_ENROLLED)
		return true;
	record = message_new(MESSAGE_ENROLLED, clock_wall_s(job->clock), NULL,
			     json_string("enrolled"), NULL);
	return jobs_record(job, record, err);
}

static bool take_receipts(struct job *job, struct state_identity *id, bool overdue, struct err *err)
{
	json_auto_t *question = json_pack("{s:s,s:s,s:b,s:b}", "op", "receipts", "client",
					  id->client, "for_person", job->for_person, "overdue",
					  overdue);
	json_auto_t *answer = NULL;
	json_auto_t *check = NULL;
	json_auto_t *checked = NULL;
	const char *file;
	bool done;

	if (!job_ask_worker(&answer, job, question, err))
		return false;
	file = jsondoc_text(answer, "file");
	if (file == NULL)
		return true;
	check = json_pack("{s:s,s:s,s:s}", "op", "receipt-check", "file", file, "client",
			  id->client);
	done = job_ask_offline(&checked, job, check, err);
	(void)unlink(file);
	return done && rekey_settle(job, jsondoc_text(checked, "key"), err) &&
	       take_state(id, job, jsondoc_text(checked, "state"), err) &&
	       apply_stream(id, job, json_object_get(checked, "streams"), err);
}

bool jobs_deliver(size_t *sent_out, struct job *job, struct state_identity *id, struct err *err)
{
	SCOPED(outbox_envelopes) struct outbox_envelopes due = { 0 };
	uint64_t waiting = 0;
	bool hands_over = rekey_is_under_way(job->state);

	*sent_out = 0;
	/* The site takes records of clients that it knows; until then they wait. */
	if (id->enrolment == STATE_ENROLLED &&
	    (!collect_due(&due, &waiting, job, id, err) || !upload(sent_out, job, id, &due, err)))
		return false;
	/* Its receipt may be here, whether or not another copy of it can go out. */
	if (hands_over && id->enrolment == STATE_ENROLLED && !rekey_send(job, id, err))
		log_warn("the new key waits: %s", err->why);
	if (id->enrolment != STATE_PENDING && waiting == 0 && !hands_over)
		return true;
	return take_receipts(job, id, is_overdue(job, &due), err);
}

/* ---- questions to a worker ---- */

/* In the context of the caller: who asks is what the socket says, never what the request does. */
void jobs_ask_as_caller(const struct job *job, json_t *question)
{
	(void)json_object_del(question, "uid");
	if (geteuid() == 0 && job->caller != 0)
		jsondoc_set_int(question, "uid", (int64_t)job->caller);
}

/* The question as the caller means it; the caller of this owns it. */
static json_t *new_question(const struct job *job, const json_t *request)
{
	json_t *question = json_copy((json_t *)(uintptr_t)request);

	jobs_ask_as_caller(job, question);
	return question;
}

bool jobs_locate(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	json_auto_t *question = new_question(job, request);

	return job_ask_worker(result_out, job, question, err);
}

bool jobs_connections(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	json_auto_t *question = new_question(job, request);

	return job_ask_worker(result_out, job, question, err);
}

bool jobs_doctor(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	return job_ask_worker(result_out, job, request, err);
}

bool jobs_probe(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	return job_ask_worker(result_out, job, request, err);
}

bool jobs_lease(json_t **result_out, struct job *job, const json_t *request UNUSED, struct err *err)
{
	if (!job_is_sharing(job))
		return err_set(err, ERR_UNSUPPORTED, "the agent's worker is not to be had now");
	job->passes = job->worker;
	*result_out = json_object();
	return true;
}

bool jobs_verify(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	return job_ask_offline(result_out, job, request, err);
}

/* For a command, to have to wait is a fault that says until when. */
static bool refuse_to_wait(const json_t *waiting, struct err *err)
{
	const char *until = jsondoc_text(waiting, "until");
	const char *reason = jsondoc_text(waiting, "reason");

	err_set(err, ERR_NO_CANDIDATE, "%s", jsondoc_text(waiting, "text"));
	/* No server helps against the hours that policy sets. */
	if (reason != NULL && strcmp(reason, "window") == 0 && until != NULL)
		return err_fix(err, "try again at %s", until);
	return err_fix(err, "%s%s; or name a server: packway fetch ID --dp NAME",
		       until != NULL ? "wait until " : "see packway explain",
		       until != NULL ? until : "");
}

/* True if the choice would fall on a mount, or need a ticket, of the caller's own. */
static bool is_callers_own_way(struct job *job, const json_t *fetch)
{
	json_auto_t *question = json_copy((json_t *)(uintptr_t)fetch);
	json_auto_t *decision = NULL;
	struct err ignored;

	if (json_object_get(fetch, "uid") == NULL)
		return false;
	jsondoc_set_text(question, "op", "locate");
	return job_ask_worker(&decision, job, question, &ignored) &&
	       jsondoc_text(json_object_get(decision, "chosen"), "context") != NULL;
}

/* Over the system's ways the shared worker reads, with its sessions. */
bool jobs_ask_for_content(json_t **answer_out, struct job *job, json_t *question,
			  enum jobs_line line, struct err *err)
{
	struct job own = *job;
	bool done;

	jobs_ask_as_caller(job, question);
	if (!is_callers_own_way(job, question)) {
		(void)json_object_del(question, "uid");
		return keeper_ask(answer_out, job, question, job_ask_worker, err);
	}
	if (line == JOBS_LINE_DROPPED)
		job_finish(job);
	own.worker = own.worker_token = -1;
	own.worker_pid = 0;
	own.keeper = (struct job_keeper){ 0 };
	own.settling = 0;
	done = keeper_ask(answer_out, &own, question, job_ask_worker, err);
	job_finish(&own);
	keeper_reap(&own);
	job->nobody_listens |= own.nobody_listens;
	if (done || err->code != ERR_NO_CANDIDATE)
		return done;
	/* What the caller's own logon may not read, the system's may. */
	(void)json_object_del(question, "uid");
	return keeper_ask(answer_out, job, question, job_ask_worker, err);
}

bool jobs_fetch(json_t **result_out, struct job *job, const json_t *request, struct err *err)
{
	json_auto_t *question = new_question(job, request);
	json_auto_t *answer = NULL;
	const json_t *waiting;

	jsondoc_set_int(question, "quota", (int64_t)job->settings->quota_bytes);
	(void)json_object_del(question, "mend");
	if (!jobs_ask_for_content(&answer, job, question, JOBS_LINE_DROPPED, err))
		return false;
	waiting = json_object_get(answer, "waiting");
	if (waiting != NULL)
		return refuse_to_wait(waiting, err);
	*result_out = json_incref(answer);
	return true;
}
