#include "agent/logons.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"

struct credential_set *logons_load(const struct state *st)
{
	SCOPED_TEXT char *own = state_path(st, CREDENTIAL_FOLDER_NAME);
	SCOPED_TEXT char *key = state_path(st, STATE_KEY);
	SCOPED_TEXT char *ticket = state_path(st, STATE_TICKET);
	const struct credential_places places = {
		.folders = { own, st->owner == 0 ? CREDENTIAL_FOLDER_SYSTEM : NULL },
		.key_path = key,
		.ticket_copy = st->owner != geteuid() ? ticket : NULL,
	};

	return credential_set_load(&places);
}

struct memory *logons_memory(const struct state *st)
{
	SCOPED_TEXT char *path = state_path(st, STATE_NAL);
	SCOPED(buf) struct buf bytes = { 0 };
	struct memory *memory = NULL;
	struct err ignored;

	if (!path_read(&bytes, path, MEMORY_BYTES_MAX, &ignored) ||
	    !memory_read(&memory, buf_span(&bytes), &ignored))
		return NULL;
	return memory;
}

char *logons_folder(const struct state *st)
{
	if (st->owner == 0 && strcmp(st->dir, STATE_DEFAULT) == 0)
		return alloc_text(CREDENTIAL_FOLDER_SYSTEM);
	return state_path(st, CREDENTIAL_FOLDER_NAME);
}
