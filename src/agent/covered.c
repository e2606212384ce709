#include "agent/covered.h"

#include <string.h>

#include "agent/stream.h"
#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"

#define COVERED_MAX 4096

char *covered_chain(const char *dir, const char *stream, uint64_t number)
{
	SCOPED_TEXT char *path = path_join(dir, "covered");
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = NULL;
	const char *said;
	struct err err;

	if (number == 0)
		return alloc_text("");
	if (!path_read(&bytes, path, COVERED_MAX, &err) ||
	    !jsondoc_read(&doc, buf_span(&bytes), &err))
		return NULL;
	said = jsondoc_text(doc, "stream");
	if (said == NULL || strcmp(said, stream) != 0 ||
	    (uint64_t)jsondoc_int(doc, "number", 0) != number)
		return NULL;
	said = jsondoc_text(doc, "chain");
	return said != NULL ? alloc_text(said) : NULL;
}

bool covered_write(const char *dir, const char *stream, uint64_t number, const char *chain,
		   struct err *err)
{
	SCOPED_TEXT char *path = path_join(dir, "covered");
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();

	jsondoc_set_text(doc, "stream", stream);
	jsondoc_set_int(doc, "number", (int64_t)number);
	jsondoc_set_text(doc, "chain", chain);
	jsondoc_write(&text, doc);
	return newfile_write(path, STREAM_FILE_MODE, buf_span(&text), err);
}
