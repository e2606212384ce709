/*
 * The jobs that are one question to a worker, and enrolment. All have the shape of job_verb_fn; the
 * requests are those of docs/ARCHITECTURE.md 7.
 */
#ifndef AGENT_JOBS_H
#define AGENT_JOBS_H

#include "agent/job.h"

job_verb_fn jobs_enroll;
job_verb_fn jobs_fetch;
job_verb_fn jobs_locate;
job_verb_fn jobs_connections;
job_verb_fn jobs_doctor;
job_verb_fn jobs_probe;
job_verb_fn jobs_verify;

/* Hand out the line to the shared worker itself (lease.h). */
job_verb_fn jobs_lease;

/* The line to the worker that everybody shares, while one of the caller's own is at work. */
enum jobs_line {
	JOBS_LINE_DROPPED, /* nothing more is asked of it */
	JOBS_LINE_KEPT,
};

/*
 * Ask a worker for content in the context of the job's caller, whose uid `question` gets. What
 * comes over the caller's own mount or logon is read by a worker that does nothing else and ends
 * with it: who controls how fast that answers must hold up nobody else.
 */
bool jobs_ask_for_content(json_t **answer_out, struct job *job, json_t *question,
			  enum jobs_line line, struct err *err) MUST_USE;

/* Put the caller into a question to a worker, where root acts for a user; else take it out. */
void jobs_ask_as_caller(const struct job *job, json_t *question);

/* The same as jobs_enroll for a caller that holds the cycle's lock already. */
bool jobs_enroll_in_cycle(json_t **result_out, struct job *job, const json_t *request,
			  struct err *err) MUST_USE;

/* One sealed file (`name`, `file`) to any CAP that takes it; it is removed in every case. */
bool jobs_send_file(struct job *job, const json_t *sealed, struct err *err) MUST_USE;

/*
 * Upload what waits in the outbox, get receipts and draw their consequences. `sent_out` is the
 * number of records on a CAP now. A CAP out of reach is no fault: records wait.
 */
bool jobs_deliver(size_t *sent_out, struct job *job, struct state_identity *id, struct err *err)
	MUST_USE;

/*
 * Add a record to the outbox and tell the event listener. Takes over `record`. ERR_OUTBOX_FULL:
 * records wait for a CAP and fill their room.
 */
bool jobs_record(struct job *job, json_t *record, struct err *err) MUST_USE;

#endif
