/*
 * The operation `upload`: bring sealed envelopes to a CAP that takes writes.
 *
 * Which CAP holds them does not matter: the site sweeps every inbox, and what is lost with a CAP is
 * sent again for want of a receipt. What is sent again after a while goes to a CAP that is drawn
 * from all: the first one may take everything and keep nothing.
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

/* The name says what the bytes are, so one that stands there already is ours: whole, or spoiled. */
static bool is_spoiled(struct way *way, const char *object, struct span bytes)
{
	const struct way_get ask = { .max = ENVELOPE_BYTES_MAX };
	SCOPED(way_object) struct way_object there = { 0 };
	struct way_stat stat;
	struct err ignored;

	if (way_get(&there, way, object, &ask, &ignored) == NAL_CLASS_OK)
		return !span_equal(buf_span(&there.bytes), bytes);
	/* Not everybody who may write may read. */
	return way_stat(&stat, way, object, &ignored) == NAL_CLASS_OK && stat.size != bytes.size;
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
	if (class == NAL_CLASS_CONFLICT && is_spoiled(way, object, put.bytes) &&
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

/* To the best CAP of that choice, then the next. What went where is in `u`. */
static bool bring(json_t *result, struct upload *u, struct scene *s, const struct scene_question *q,
		  const struct scene_answer *answer, struct err *err)
{
	struct approach *ap = approach_begin(s, q, answer, 0);
	struct way *way;
	bool done = false;

	while (!done && approach_next(&way, ap, err))
		done = put_all(u, ap, way, err);
	if (done)
		jsondoc_set_text(result, "cap", approach_server(ap));
	else if (approach_last_error(ap)->code != ERR_NONE)
		jsondoc_set_text(result, "why", approach_last_error(ap)->why);
	else
		jsondoc_set_text(result, "why", err->why);
	json_decref(approach_end(ap, NULL));
	return done;
}

/* To one that is drawn from all that could be used; false if that was not to be. */
static bool bring_elsewhere(json_t *result, struct upload *u, struct scene *s,
			    const struct scene_question *q, const struct scene_answer *answer)
{
	SCOPED(scene_answer) struct scene_answer other = { 0 };
	struct scene_question only = *q;
	struct err ignored;

	return scene_choose_another(&other, s, &only, answer) &&
	       bring(result, u, s, &only, &other, &ignored);
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

	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err) ||
	    !scene_choose(&answer, w->scene, &q, err))
		return false;
	u.sent = json_array();
	*result_out = json_object();
	if (!jsondoc_flag(request, "overdue", false) ||
	    !bring_elsewhere(*result_out, &u, w->scene, &q, &answer))
		bring(*result_out, &u, w->scene, &q, &answer, err);
	jsondoc_set(*result_out, "sent", u.sent);
	return true;
}
