#include "agent/rekey.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/jobs.h"
#include "agent/outbox.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/message.h"
#include "common/path.h"

#define KEY            "client.key"
#define HANDOVER       "handover.json" /* {"stream","next"}: what the old key has sealed */
#define REPLACED       "replaced.json"
#define CYCLE_WAIT_MS  600000
#define OUTBOX_WAIT_MS 10000

static bool is_there(const struct state *st, const char *name)
{
	SCOPED_TEXT char *path = state_path(st, name);

	return path_exists(path);
}

bool rekey_is_under_way(const struct state *st)
{
	return is_there(st, STATE_NEXT_KEY);
}

const char *rekey_state(const struct state *st)
{
	if (rekey_is_under_way(st))
		return "handing-over";
	return is_there(st, REPLACED) ? "replaced" : "own";
}

/* ---- begin ---- */

static bool write_handover(const struct state *st, const struct outbox *outbox, struct err *err)
{
	json_auto_t *doc = json_object();

	jsondoc_set_text(doc, "stream", outbox_stream(outbox));
	jsondoc_set_int(doc, "next", (int64_t)outbox_first_unsealed(outbox));
	return state_write_json(st, HANDOVER, doc, err);
}

/*
 * The outbox stays locked until the new key is on disk: what is sealed after that is not the old
 * key's any more.
 */
static bool begin(struct job *job, const struct state_identity *id, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(job->state, "outbox");
	SCOPED(outbox) struct outbox *outbox = NULL;
	json_auto_t *question = json_pack("{s:s}", "op", "rekey");
	json_auto_t *answer = NULL;

	return outbox_open(&outbox, dir, id->stream, 0, OUTBOX_WAIT_MS, err) &&
	       write_handover(job->state, outbox, err) &&
	       job_ask_offline(&answer, job, question, err);
}

static bool must_be_enrolled(const struct state_identity *id, struct err *err)
{
	if (id->enrolment == STATE_ENROLLED)
		return true;
	err_set(err, ERR_NOT_ENROLLED, "this client is %s: the site has no key to hand over from",
		state_enrolment_name(id->enrolment));
	return err_fix(err, "enrol it first; a client that is not enrolled gets a new key by "
			    "packway reset");
}

static bool run(json_t **result_out, struct job *job, struct err *err)
{
	SCOPED(state_identity) struct state_identity id = { 0 };
	size_t sent;

	if (!state_load_identity(&id, job->state, err) || !must_be_enrolled(&id, err) ||
	    (!rekey_is_under_way(job->state) && !begin(job, &id, err)))
		return false;
	/* Out of reach of a CAP the hand-over waits, as records do. */
	if (!jobs_deliver(&sent, job, &id, err))
		log_warn("%s", err->why);
	*result_out = json_object();
	jsondoc_set_text(*result_out, "client", id.client);
	jsondoc_set_text(*result_out, "key", rekey_state(job->state));
	return true;
}

bool rekey_run(json_t **result_out, struct job *job, const json_t *request UNUSED, struct err *err)
{
	SCOPED_FD int lock = -1;

	job->for_person = true;
	return state_lock(&lock, job->state, "cycle", CYCLE_WAIT_MS, err) &&
	       run(result_out, job, err);
}

/* ---- send ---- */

static bool seal(json_t **sealed_out, struct job *job, const struct state_identity *id,
		 struct err *err)
{
	json_auto_t *doc = NULL;
	json_auto_t *question = NULL;

	if (!state_read_json(&doc, job->state, HANDOVER, err))
		return false;
	/* Lost with the disk under it: then nothing that was sealed counts as the old key's. */
	question = json_pack("{s:s,s:s,s:s,s:{s:I}}", "op", "seal", "client", id->client, "stream",
			     jsondoc_text(doc, "stream") != NULL ? jsondoc_text(doc, "stream")
								 : id->stream,
			     "handover", "next", (json_int_t)jsondoc_int(doc, "next", 1));
	return job_ask_offline(sealed_out, job, question, err);
}

bool rekey_send(struct job *job, const struct state_identity *id, struct err *err)
{
	json_auto_t *sealed = NULL;

	return seal(&sealed, job, id, err) && jobs_send_file(job, sealed, err);
}

/* ---- end ---- */

static bool tell(struct job *job, struct err *err)
{
	json_t *text = json_string("this client's key was replaced by a new one");

	return jobs_record(
		job, message_new(MESSAGE_KEY_REPLACED, clock_wall_s(job->clock), NULL, text, NULL),
		err);
}

/* The site has the new key. It takes the old one's place in one step. */
static bool finish(struct job *job, struct err *err)
{
	SCOPED_TEXT char *next = state_path(job->state, STATE_NEXT_KEY);
	SCOPED_TEXT char *key = state_path(job->state, KEY);
	SCOPED_TEXT char *handover = state_path(job->state, HANDOVER);

	if (rename(next, key) != 0)
		return err_sys(err, ERR_IO, errno, "key %s", next);
	if (!path_sync_dir(job->state->dir, err))
		return false;
	(void)unlink(handover);
	return tell(job, err);
}

static bool note_replaced(struct job *job, struct err *err)
{
	json_auto_t *doc = json_object();

	if (is_there(job->state, REPLACED))
		return true;
	log_warn("the site knows another key of this client, which is not here: a copy of this "
		 "state is elsewhere; packway reset and enrol anew");
	jsondoc_set_time(doc, "since", clock_wall_s(job->clock));
	return state_write_json(job->state, REPLACED, doc, err);
}

bool rekey_settle(struct job *job, const char *key, struct err *err)
{
	SCOPED_TEXT char *replaced = state_path(job->state, REPLACED);

	if (key == NULL)
		return true;
	if (strcmp(key, "other") == 0)
		return note_replaced(job, err);
	(void)unlink(replaced);
	return strcmp(key, "next") != 0 || finish(job, err);
}
