#include "agent/logons.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/path.h"

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

struct memory *logons_memory(const struct state *st)
{
	SCOPED_TEXT char *path = state_path(st, "nal.json");
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
	if (geteuid() == 0 && strcmp(st->dir, STATE_DEFAULT) == 0)
		return alloc_text(CREDENTIAL_FOLDER_SYSTEM);
	return state_path(st, CREDENTIAL_FOLDER_NAME);
}
