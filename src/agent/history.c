#include "agent/history.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/segment.h"
#include "agent/stream.h"
#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/path.h"

/* Names begin with the time, so that sorted means oldest first. */
static int compare_age(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_segment_file(const struct dirent *e)
{
	return strstr(e->d_name, ".log") != NULL;
}

static char *folder_of(const char *outbox_dir)
{
	return path_join(outbox_dir, "done");
}

bool history_keep(const char *outbox_dir, const char *log, const char *stream, uint64_t first,
		  struct err *err)
{
	SCOPED_TEXT char *dir = folder_of(outbox_dir);
	SCOPED_TEXT char *kept = NULL;
	struct stat st;

	if (!path_make_dirs(dir, STREAM_FOLDER_MODE, err))
		return false;
	kept = alloc_printf("%s/%012lld-%s-%016" PRIx64 ".log", dir,
			    stat(log, &st) == 0 ? (long long)st.st_mtime : 0LL, stream, first);
	return rename(log, kept) == 0 || err_sys(err, ERR_IO, errno, "segment %s", log);
}

void history_prune(const char *outbox_dir)
{
	SCOPED_TEXT char *dir = folder_of(outbox_dir);
	struct dirent **names;
	int count = scandir(dir, &names, is_segment_file, compare_age);

	for (int i = 0; i < count; i++) {
		SCOPED_TEXT char *path = path_join(dir, names[i]->d_name);

		if (i < count - HISTORY_SEGMENTS_MAX)
			(void)unlink(path);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

void history_put_segment(json_t *to, struct span bytes, const char *stream, uint64_t first)
{
	struct segment_record record;

	for (; segment_take(&bytes, &record, first); first++) {
		json_t *doc = NULL;
		struct err err;

		if (!jsondoc_read(&doc, record.json, &err) || !json_is_object(doc)) {
			json_decref(doc);
			continue;
		}
		jsondoc_set_text(doc, "stream", stream);
		jsondoc_set_int(doc, "sequence", (int64_t)record.sequence);
		json_array_append_new(to, doc);
	}
}

/* "TIME-STREAM-FIRST.log" */
static void put_file(json_t *to, const char *dir, const char *name)
{
	SCOPED_TEXT char *path = path_join(dir, name);
	SCOPED(buf) struct buf bytes = { 0 };
	const char *dash = strchr(name, '-'), *kind;
	char stream[STREAM_ID_SIZE];
	uint64_t first;
	struct err err;

	if (dash == NULL || strlen(dash) < 2 + STREAM_ID_SIZE ||
	    !stream_parse_name(&first, &kind, dash + 1 + STREAM_ID_SIZE) ||
	    !path_read(&bytes, path, STREAM_SEGMENT_FILE_MAX, &err))
		return;
	snprintf(stream, sizeof(stream), "%.32s", dash + 1);
	history_put_segment(to, buf_span(&bytes), stream, first);
}

void history_list(json_t *to, const char *outbox_dir)
{
	SCOPED_TEXT char *dir = folder_of(outbox_dir);
	struct dirent **names;
	int count = scandir(dir, &names, is_segment_file, compare_age);

	for (int i = 0; i < count; i++) {
		put_file(to, dir, names[i]->d_name);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}
