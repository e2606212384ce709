/*
 * packway credential: accounts for servers, in this client's state or, for root's, /etc/packway.
 */
#include <string.h>

#include "agent/logons.h"
#include "cli/client.h"
#include "cli/credentials.h"
#include "common/alloc.h"

static bool verb_credential_set(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	SCOPED_TEXT char *folder = NULL;

	if (!client_open(&c, call, STATE_READ, err))
		return false;
	folder = logons_folder(&c.state);
	return credentials_set(call, folder, err);
}

static bool verb_credential_list(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	SCOPED(credential_set) struct credential_set *set = NULL;
	SCOPED(memory) struct memory *memory = NULL;

	if (!client_open(&c, call, STATE_READ, err))
		return false;
	set = logons_load(&c.state);
	memory = logons_memory(&c.state);
	credentials_list(call, set, memory);
	return true;
}

static bool verb_credential_remove(struct verb_call *call, struct err *err)
{
	SCOPED(client) struct client c = { 0 };
	SCOPED_TEXT char *folder = NULL;

	if (!client_open(&c, call, STATE_READ, err))
		return false;
	folder = logons_folder(&c.state);
	return credentials_remove(call, folder, err);
}

const struct verb client_verbs_credentials[] = {
	{ .name = "credential set",
	  .run = verb_credential_set,
	  .summary = "use an account, a ticket or guest at a server",
	  .arguments = credentials_arguments,
	  .options = credentials_set_options,
	  .notes = credentials_set_notes },
	{ .name = "credential list",
	  .run = verb_credential_list,
	  .summary = "what is configured for servers, without secrets" },
	{ .name = "credential remove",
	  .run = verb_credential_remove,
	  .summary = "forget what was set for a server",
	  .arguments = credentials_arguments },
	{ NULL },
};
