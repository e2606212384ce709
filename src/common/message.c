#include "common/message.h"

#include "common/jsondoc.h"

static void set_about(json_t *record, const struct message_about *about)
{
	if (about->advertisement != NULL)
		jsondoc_set_text(record, "advertisement", about->advertisement);
	if (about->package != NULL) {
		jsondoc_set_text(record, "package", about->package);
		jsondoc_set_int(record, "version", about->version);
	}
	if (about->program != NULL)
		jsondoc_set_text(record, "program", about->program);
}

json_t *message_new(enum message_id id, int64_t time_s, const struct message_about *about,
		    json_t *text, json_t *data)
{
	json_t *record = json_object();

	jsondoc_set_text(record, "kind", "status");
	jsondoc_set_int(record, "id", id);
	jsondoc_set_time(record, "time", time_s);
	if (about != NULL)
		set_about(record, about);
	jsondoc_set(record, "text", text);
	if (data != NULL)
		jsondoc_set(record, "data", data);
	return record;
}
