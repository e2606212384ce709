#include "agent/mountledger.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/newfile.h"
#include "common/path.h"
#include "common/text.h"

#define RECORD_MAX  65536
#define RECORDS_MAX 4096
#define FOLDER_MODE 0755 /* programs of other accounts go through it to their content */

static char *path_of(const struct state *st, const char *at, const char *suffix)
{
	struct digest id;
	char hex[DIGEST_HEX_SIZE];

	digest_of(&id, span_of_text(at));
	digest_print(hex, &id);
	return alloc_printf("%s/" MOUNTLEDGER_FOLDER "/%.16s.%s", st->dir, hex, suffix);
}

static bool make_folder(const struct state *st, struct err *err)
{
	SCOPED_TEXT char *folder = state_path(st, MOUNTLEDGER_FOLDER);

	return path_make_dirs(folder, FOLDER_MODE, err);
}

bool mountledger_claim(int *fd_out, const struct state *st, const char *at, uint32_t wait_ms,
		       struct err *err)
{
	SCOPED_TEXT char *path = path_of(st, at, "lock");

	if (!make_folder(st, err))
		return false;
	return path_lock(fd_out, path, wait_ms, err);
}

bool mountledger_write(const struct state *st, const json_t *record, struct err *err)
{
	SCOPED_TEXT char *path = path_of(st, jsondoc_text(record, "at"), "json");
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, record);
	return newfile_write(path, 0600, buf_span(&text), err);
}

void mountledger_remove(const struct state *st, const char *at)
{
	SCOPED_TEXT char *path = path_of(st, at, "json");

	(void)unlink(path);
}

static json_t *read_file(const char *path)
{
	SCOPED(buf) struct buf bytes = { 0 };
	json_t *record = NULL;
	struct err ignored;

	if (!path_read(&bytes, path, RECORD_MAX, &ignored) ||
	    !jsondoc_read(&record, buf_span(&bytes), &ignored))
		return NULL;
	if (jsondoc_text(record, "at") != NULL && jsondoc_text(record, "package") != NULL)
		return record;
	json_decref(record);
	return NULL;
}

json_t *mountledger_read(const struct state *st, const char *at)
{
	SCOPED_TEXT char *path = path_of(st, at, "json");

	return read_file(path);
}

json_t *mountledger_list(const struct state *st)
{
	SCOPED_TEXT char *folder = state_path(st, MOUNTLEDGER_FOLDER);
	DIR *dir = opendir(folder);
	json_t *list = json_array();
	const struct dirent *entry;

	while (dir != NULL && json_array_size(list) < RECORDS_MAX &&
	       (entry = readdir(dir)) != NULL) {
		SCOPED_TEXT char *path = path_join(folder, entry->d_name);
		size_t size = strlen(entry->d_name);
		json_t *record;

		if (size < 6 || strcmp(entry->d_name + size - 5, ".json") != 0)
			continue;
		record = read_file(path);
		if (record != NULL)
			json_array_append_new(list, record);
	}
	if (dir != NULL)
		closedir(dir);
	return list;
}
