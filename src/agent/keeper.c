#include "agent/keeper.h"

#include <string.h>

#include "common/alloc.h"
#include "common/log.h"

#define REBUILDS   2 /* of what the keeper found wrong */
#define ROUNDS_MAX 8 /* of questions; a worker that is in order needs half of them */

enum step {
	STEP_DONE,
	STEP_AGAIN, /* ask the worker once more */
	STEP_WRONG, /* the keeper does not take it: build it again */
	STEP_FAULT,
};

static json_t *new_request(const char *op, const json_t *question, const json_t *answer)
{
	json_t *request = json_object();

	jsondoc_set_text(request, "op", op);
	jsondoc_set_text(request, "package", jsondoc_text(question, "package"));
	jsondoc_set_int(request, "version", jsondoc_int(answer, "version", 0));
	return request;
}

static enum step make_room(struct job *job, json_t *question, const json_t *answer, struct err *err)
{
	json_auto_t *request = new_request("make-room", question, answer);
	json_auto_t *unused = NULL;

	jsondoc_set_int(request, "need", jsondoc_int(answer, "room", 0));
	jsondoc_set_int(request, "quota", jsondoc_int(question, "quota", 0));
	if (!job_ask_keeper(&unused, job, request, err))
		return STEP_FAULT;
	jsondoc_set_flag(question, "has_room", true);
	return STEP_AGAIN;
}

/* A mount has to be told where its tree stands from now on. */
static enum step take(struct job *job, json_t *question, const json_t *answer, struct err *err)
{
	json_auto_t *request = new_request("take", question, answer);
	json_auto_t *unused = NULL;

	if (!job_ask_keeper(&unused, job, request, err))
		return err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND ? STEP_WRONG
									      : STEP_FAULT;
	(void)json_object_del(question, "mend");
	return strcmp(jsondoc_text(question, "op"), "demand") == 0 ? STEP_AGAIN : STEP_DONE;
}

static enum step follow(struct job *job, json_t *question, const json_t *answer, struct err *err)
{
	if (json_object_get(answer, "room") != NULL)
		return make_room(job, question, answer, err);
	if (jsondoc_flag(answer, "take", false))
		return take(job, question, answer, err);
	return STEP_DONE;
}

/* Where it stands is known here, and no word of a worker's: a program is run from there. */
static void settle(json_t *answer, const struct job *job, const json_t *question)
{
	const char *package = jsondoc_text(question, "package");
	int64_t version = jsondoc_int(question, "version", 0);
	SCOPED_TEXT char *store = state_path(job->state, "store");
	SCOPED_TEXT char *path = NULL;

	(void)json_object_del(answer, "take");
	if (json_object_get(answer, "path") == NULL)
		return;
	if (version == 0)
		version = jsondoc_int(answer, "version", 0);
	path = alloc_printf("%s/%s/%lld", store, package, (long long)version);
	jsondoc_set_text(answer, "path", path);
}

bool keeper_ask(json_t **result_out, struct job *job, json_t *question, keeper_ask_fn *ask,
		struct err *err)
{
	int wrong = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		json_auto_t *answer = NULL;

		if (!ask(&answer, job, question, err))
			return false;
		switch (follow(job, question, answer, err)) {
		case STEP_DONE:
			settle(answer, job, question);
			*result_out = json_incref(answer);
			return true;
		case STEP_AGAIN:
			break;
		case STEP_WRONG:
			if (wrong++ == REBUILDS)
				return false;
			log_warn("%s; it is built again", err->why);
			break;
		case STEP_FAULT:
		default:
			return false;
		}
	}
	return err_set(err, ERR_INTERRUPTED, "the worker does not come to an end with %s",
		       jsondoc_text(question, "package"));
}

bool keeper_ask_for_content(json_t **result_out, struct job *job, json_t *question, struct err *err)
{
	return keeper_ask(result_out, job, question, job_ask_worker, err);
}
