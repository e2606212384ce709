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

/* The same as jobs_enroll for a caller that holds the cycle's lock already. */
bool jobs_enroll_in_cycle(json_t **result_out, struct job *job, const json_t *request,
			  struct err *err) MUST_USE;

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
