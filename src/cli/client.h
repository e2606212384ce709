/*
 * What the verbs of packway share: the client's state and settings, and asking for a piece of work
 * from the agent if one listens, else doing it in this process (agent/job.h).
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>

#include "agent/job.h"
#include "agent/state.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

struct client {
	struct verb_call *call;
	struct state state;
	struct job_settings settings;
	struct progress progress;
	bool is_guest; /* the state is somebody else's: only its agent can be asked */
	int content;   /* of the last answer: its content as an open folder; -1: none came */
	int passes;    /* a descriptor that goes along with the next request to an agent; -1 */
};

/* The settings that a job needs, out of the configuration; texts are borrowed from it. */
void client_settings(struct job_settings *out, const struct config *config);

/*
 * Open the state. client_open_guest also does where it belongs to somebody else whose agent
 * listens: such a caller may only client_ask.
 */
bool client_open(struct client *c, struct verb_call *call, enum state_open_mode mode,
		 struct err *err) MUST_USE;
bool client_open_guest(struct client *c, struct verb_call *call, struct err *err) MUST_USE;
void client_close(struct client *c);
static inline void client_scoped(struct client *c)
{
	client_close(c);
}

/* True if an agent of this state listens; *socket_out is then connected, and the caller closes it.
 */
bool client_reach_agent(int *socket_out, const struct client *c);

/*
 * Have a request done (docs/ARCHITECTURE.md 7 and 8) by the agent or here, showing progress. Takes
 * over `request`; the caller owns *result_out. Blocks until it is done.
 */
bool client_ask(json_t **result_out, struct client *c, json_t *request, struct err *err) MUST_USE;

/*
 * A job of this process, never of the agent: for what has to happen where the command runs, such as
 * in its mount table. Borrows the client; end it with job_finish.
 */
void client_job(struct job *out, struct client *c);

/* {"op":op}, to be completed; the caller owns it. */
json_t *client_request(const char *op) MUST_USE;

/* The settings of packway, and its tables of verbs, one a file. */
extern const struct config_key client_keys[];
extern const struct verb client_verbs_enrol[];
extern const struct verb client_verbs_work[];
extern const struct verb client_verbs_content[];
extern const struct verb client_verbs_mount[];
extern const struct verb client_verbs_choice[];
extern const struct verb client_verbs_look[];
extern const struct verb client_verbs_prefer[];
extern const struct verb client_verbs_credentials[];

#endif
