#include "agent/lease.h"

#include "agent/control.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/path.h"
#include "common/wire.h"

#define WAIT_MS 1000

static bool ask(int *line_out, int agent, struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "lease");
	json_auto_t *answer = NULL;

	if (!wire_send_json(agent, request, -1, err))
		return false;
	if (wire_receive_json(&answer, line_out, agent, WAIT_MS, err) != WIRE_FRAME)
		return err_set(err, ERR_INTERRUPTED, "the agent gives no answer");
	if (json_object_get(answer, "done") == NULL)
		return jsondoc_take_error(err, json_object_get(answer, "error"));
	return *line_out >= 0 || err_set(err, ERR_FORMAT, "the agent's answer has no line");
}

bool lease_take(struct job *job)
{
	SCOPED_TEXT char *path = state_socket_path(job->state);
	SCOPED_FD int agent = -1;
	int line = -1;
	struct err err;

	if (!control_reach(&agent, path, WAIT_MS))
		return false;
	if (!ask(&line, agent, &err)) {
		path_close_fd(&line);
		log_debug("%s", err.why);
		return false;
	}
	job_finish(job);
	job->worker = line;
	return true;
}
