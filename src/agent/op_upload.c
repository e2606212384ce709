/*
 * The operation `upload`: bring sealed envelopes to a CAP that takes writes.
 *
 * Which CAP holds them does not matter: the site sweeps every inbox, and what is lost with a CAP is
 * sent again for want of a receipt.
 */
#include <stdlib.h>

#include "agent/approach.h"
#include "agent/op.h"
#include "agent/scene.h"
#include "common/alloc.h"
#include "common/path.h"

#define ENVELOPE_BYTES_MAX ((size_t)2 << 20)

struct upload {
	const json_t *envelopes;
	size_t next; /* the first one that is not there yet */
	json_t *sent;
};

/* An inbox of its own is the folder itself; else it lies beneath the CAP. */
static char *object_name(const struct approach *ap, const char *name)
{
	return approach_is_inbox(ap) ? alloc_text(name) : path_join("inbox", name);
}

/* The name says what the bytes are, so one that stands there already is ours: whole, or cut. */
static bool is_cut(struct way *way, const char *object, size_t size)
{
	struct way_stat there;
	struct err ignored;

	return way_stat(&there, way, object, &ignored) == NAL_CLASS_OK && there.size != size;
}

static enum nal_class put_one(const struct approach *ap, struct way *way, const json_t *envelope,
			      struct err *err)
{
	const char *name = jsondoc_text(envelope, "name");
	const char *file = jsondoc_text(envelope, "file");
	SCOPED_TEXT char *object = object_name(ap, name);
	SCOPED(buf) struct buf bytes = { 0 };
	struct way_put put = { .mode = WAY_PUT_CREATE, .fd = -1 };
	enum nal_class class;

	if (!path_read(&bytes, file, ENVELOPE_BYTES_MAX, err))
		return NAL_CLASS_UNKNOWN;
	put.bytes = buf_span(&bytes);
	class = way_put(way, object, &put, err);
	/* What may not be removed here is sent again after the site gave it up. */
	if (class == NAL_CLASS_CONFLICT && is_cut(way, object, bytes.size) &&
	    way_delete(way, object, err) == NAL_CLASS_OK)
		class = way_put(way, object, &put, err);
	return class == NAL_CLASS_CONFLICT ? NAL_CLASS_OK : class;
}

static bool put_all(struct upload *u, struct approach *ap, struct way *way, struct err *err)
{
	for (; u->next < json_array_size(u->envelopes); u->next++) {
		const json_t *envelope = json_array_get(u->envelopes, u->next);
		enum nal_class class = put_one(ap, way, envelope, err);

		if (class != NAL_CLASS_OK) {
			approach_failed(ap, class, err);
			return false;
		}
		json_array_append(u->sent, json_object_get(envelope, "name"));
	}
	approach_served(ap);
	return true;
}

bool op_upload(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	const struct scene_question q = {
		.kind = KIND_CAP,
		.object = "cap",
		.version_key = "inbox",
		.writes = true,
		.for_person = jsondoc_flag(request, "for_person", true),
	};
	SCOPED(scene_answer) struct scene_answer answer = { 0 };
	struct upload u = { .envelopes = json_object_get(request, "envelopes") };
	struct approach *ap;
	struct way *way;
	bool done = false;

	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err) ||
	    !scene_choose(&answer, w->scene, &q, err))
		return false;
	u.sent = json_array();
	ap = approach_begin(w->scene, &q, &answer, 0);
	while (!done && approach_next(&way, ap, err))
		done = put_all(&u, ap, way, err);
	*result_out = json_object();
	if (done)
		jsondoc_set_text(*result_out, "cap", approach_server(ap));
	else if (approach_last_error(ap)->code != ERR_NONE)
		jsondoc_set_text(*result_out, "why", approach_last_error(ap)->why);
	else
		jsondoc_set_text(*result_out, "why", err->why);
	jsondoc_set(*result_out, "sent", u.sent);
	json_decref(approach_end(ap, NULL));
	return true;
}
