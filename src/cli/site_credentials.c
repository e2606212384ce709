/* credential: accounts for the servers that the site writes to. */
#include "cli/credentials.h"
#include "cli/site_call.h"
#include "common/alloc.h"
#include "site/reach.h"

static bool run_set(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED_TEXT char *folder = NULL;

	if (!site_call_open(&site, call, err))
		return false;
	folder = reach_folder(site);
	return credentials_set(call, folder, err);
}

static bool run_list(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED(credential_set) struct credential_set *set = NULL;
	SCOPED(memory) struct memory *memory = NULL;

	if (!site_call_open(&site, call, err))
		return false;
	set = reach_credentials(site);
	memory = reach_memory(site);
	credentials_list(call, set, memory);
	return true;
}

static bool run_remove(struct verb_call *call, struct err *err)
{
	SCOPED(site) struct site *site = NULL;
	SCOPED_TEXT char *folder = NULL;

	if (!site_call_open(&site, call, err))
		return false;
	folder = reach_folder(site);
	return credentials_remove(call, folder, err);
}

const struct verb site_credential_verbs[] = {
	{
		.name = "credential set",
		.run = run_set,
		.summary = "use an account, a ticket or guest at a server",
		.arguments = credentials_arguments,
		.options = credentials_set_options,
		.notes = credentials_set_notes,
	},
	{
		.name = "credential list",
		.run = run_list,
		.summary = "what is configured for servers, without secrets",
	},
	{
		.name = "credential remove",
		.run = run_remove,
		.summary = "forget what was set for a server",
		.arguments = credentials_arguments,
	},
	{ 0 },
};
