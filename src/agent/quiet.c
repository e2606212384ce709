#include "agent/quiet.h"

#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/log.h"

#define NOTE "quiet.json"

bool quiet_holds(struct quiet *out, const struct state *st, const char *inputs, int64_t now_s)
{
	json_auto_t *note = NULL;
	const char *before;
	struct err ignored;

	if (!state_read_json(&note, st, NOTE, &ignored) || note == NULL)
		return false;
	before = jsondoc_text(note, "inputs");
	if (before == NULL || strcmp(before, inputs) != 0)
		return false;
	*out = (struct quiet){
		.next_s = jsondoc_int(note, "next", 0),
		.expires_s = jsondoc_int(note, "expires", 0),
		.waiting = (size_t)jsondoc_int(note, "waiting", 0),
		.failed = (size_t)jsondoc_int(note, "failed", 0),
	};
	return now_s >= jsondoc_int(note, "made", INT64_MAX) && now_s < out->next_s &&
	       now_s < out->expires_s;
}

void quiet_keep(const struct state *st, const struct quiet *q, const char *inputs, int64_t now_s)
{
	json_auto_t *note = json_object();
	struct err err;

	if (inputs != NULL)
		jsondoc_set_text(note, "inputs", inputs);
	jsondoc_set_int(note, "made", now_s);
	jsondoc_set_int(note, "next", MIN_OF(q->next_s, JSONDOC_INT_MAX));
	jsondoc_set_int(note, "expires", MIN_OF(q->expires_s, JSONDOC_INT_MAX));
	jsondoc_set_int(note, "waiting", (int64_t)q->waiting);
	jsondoc_set_int(note, "failed", (int64_t)q->failed);
	if (!state_write_json(st, NOTE, note, &err))
		log_warn(NOTE ": %s", err.why);
}

void quiet_forget(const struct state *st)
{
	SCOPED_TEXT char *path = state_path(st, NOTE);

	(void)unlink(path);
}
