/*
 * Content by a worker and a keeper. Root's worker with an account of its own downloads and puts
 * together; what is finished is root's, and a child without network, the keeper, takes it over and
 * makes room (ops `take` and `make-room`). Where one account does all, the worker does these too,
 * and this is one question.
 */
#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

#include <stdbool.h>

#include "agent/job.h"
#include "common/error.h"
#include "common/macros.h"

/*
 * Ask a worker for content (`fetch` or `demand`) and have the keeper do its part. Blocks. What the
 * keeper finds wrong is built again, twice; then ERR_CORRUPT. `question` may be changed. `path` of
 * a fetch's answer is this process's own knowledge.
 */
bool keeper_ask_for_content(json_t **result_out, struct job *job, json_t *question, struct err *err)
	MUST_USE;

/* How the worker is asked: job_ask_worker, or like it. */
typedef bool keeper_ask_fn(json_t **answer_out, struct job *job, const json_t *question,
			   struct err *err);

/* The same by another way of asking. */
bool keeper_ask(json_t **result_out, struct job *job, json_t *question, keeper_ask_fn *ask,
		struct err *err) MUST_USE;

#endif
