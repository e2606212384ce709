#include "agent/sidecar.h"

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"

#define SIDECAR_MAX 4096

void sidecar_read(struct sidecar *out, const struct stream *s, uint64_t first)
{
	SCOPED_TEXT char *path = stream_file(s, first, "json");
	SCOPED_TEXT char *envelope = stream_file(s, first, "env");
	SCOPED(buf) struct buf bytes = { 0 };
	json_auto_t *doc = NULL;
	struct err err;

	*out = (struct sidecar){ 0 };
	if (!path_exists(envelope) || !path_read(&bytes, path, SIDECAR_MAX, &err) ||
	    !jsondoc_read(&doc, buf_span(&bytes), &err))
		return;
	out->name = alloc_text(jsondoc_text(doc, "name"));
	out->chain = alloc_text(jsondoc_text(doc, "chain"));
	out->sent_s = jsondoc_int(doc, "sent", 0);
	out->spoiled = jsondoc_flag(doc, "spoiled", false);
}

bool sidecar_write(const struct stream *s, uint64_t first, const struct sidecar *sidecar,
		   struct err *err)
{
	SCOPED_TEXT char *path = stream_file(s, first, "json");
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = json_object();

	jsondoc_set_text(doc, "name", sidecar->name);
	jsondoc_set_text(doc, "chain", sidecar->chain);
	jsondoc_set_int(doc, "sent", sidecar->sent_s);
	if (sidecar->spoiled)
		jsondoc_set_flag(doc, "spoiled", true);
	jsondoc_write(&text, doc);
	return newfile_write(path, STREAM_FILE_MODE, buf_span(&text), err);
}
