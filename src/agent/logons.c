#include "agent/logons.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

struct credential_set *logons_load(const struct state *st)
{
	SCOPED_TEXT char *own = state_path(st, CREDENTIAL_FOLDER_NAME);
	SCOPED_TEXT char *key = state_path(st, "credential.key");
	const struct credential_places places = {
		.folders = { own, geteuid() == 0 ? CREDENTIAL_FOLDER_SYSTEM : NULL },
		.key_path = key,
	};

	return credential_set_load(&places);
}

char *logons_folder(const struct state *st)
{
	if (geteuid() == 0 && strcmp(st->dir, STATE_DEFAULT) == 0)
		return alloc_text(CREDENTIAL_FOLDER_SYSTEM);
	return state_path(st, CREDENTIAL_FOLDER_NAME);
}
