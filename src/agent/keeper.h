/*
 * Content by a worker and a keeper. Where root's worker has an account of its own, it downloads and
 * decodes; what comes is checked, put together and kept by a child of root's without network, the
 * keeper (operation `build`). The socket to it goes to the worker with the question, or in answer
 * to an event, by which it asks for one. Where one account does all there is none, and this is one
 * question.
 */
#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

#include <stdbool.h>

#include "agent/job.h"
#include "common/error.h"
#include "common/macros.h"

/* How the worker is asked: job_ask_worker, or like it. */
typedef bool keeper_ask_fn(json_t **answer_out, struct job *job, const json_t *question,
			   struct err *err);

/*
 * Ask a worker for content (`fetch` or `demand`). Blocks. What the worker says was built counts
 * when the keeper says so, too; `path` of a fetch's answer is this process's own knowledge.
 */
bool keeper_ask(json_t **result_out, struct job *job, const json_t *question, keeper_ask_fn *ask,
		struct err *err) MUST_USE;

/* The worker's line to a keeper that was started ahead of its question, which goes with it; the
 * caller closes it. -1: there is none. */
int keeper_take_line(struct job *job) MUST_USE;

/* A worker's event `keeper`: start one for it, in the place of one that there may be. False: the
 * worker's line is broken. */
bool keeper_start(struct job *job, int worker, struct err *err) MUST_USE;

/*
 * End it, if there is one; what it has not finished stays for another. It is gone when this
 * returns: the next one writes the same memory (job.h, `recent`).
 */
void keeper_end(struct job *job);

/*
 * Wait until the one whose word was taken has flushed what it built, and reap it. Who does not, and
 * ends, leaves that to init.
 */
void keeper_reap(struct job *job);

#endif
