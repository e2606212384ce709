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
	json_t *left;    /* envelopes that no CAP has taken yet */
	json_t *sent;    /* names */
	json_t *spoiled; /* names under which a CAP has other bytes that may not be removed */
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

/* NAL_CLASS_CONFLICT: other bytes stand there and stay. */
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
	if (class != NAL_CLASS_CONFLICT)
		return class;
	if (!is_spoiled(way, object, put.bytes))
		return NAL_CLASS_OK;
	if (way_delete(way, object, err) == NAL_CLASS_OK)
		class = way_put(way, object, &put, err);
	if (class == NAL_CLASS_CONFLICT)
		(void)err_set(err, ERR_EXISTS,
			      "CAP %s has other bytes under the name of an upload and does not let "
			      "them be removed; it is sent under another name next",
			      approach_server(ap));
	return class;
}

/* What is spoiled here does not hold back the rest, and is offered to the next CAP. */
static bool put_all(struct upload *u, struct approach *ap, struct way *way, struct err *err)
{
	struct err conflict = { 0 };

	for (size_t i = 0; i < json_array_size(u->left);) {
		const json_t *envelope = json_array_get(u->left, i);
		enum nal_class class = put_one(ap, way, envelope, err);
		json_t *name = json_object_get(envelope, "name");

		if (class == NAL_CLASS_OK) {
			json_array_append(u->sent, name);
			json_array_remove(u->left, i);
		} else if (class == NAL_CLASS_CONFLICT) {
			json_array_append(u->spoiled, name);
			conflict = *err;
			i++;
		} else {
			approach_failed(ap, class, err);
			return false;
		}
	}
	if (json_array_size(u->left) == 0)
		approach_served(ap);
	else
		approach_failed(ap, NAL_CLASS_CONFLICT, &conflict);
	return json_array_size(u->left) == 0;
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
	struct upload u = { 0 };

	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err) ||
	    !scene_choose(&answer, w->scene, &q, err))
		return false;
	u.left = json_copy(json_object_get(request, "envelopes"));
	u.sent = json_array();
	u.spoiled = json_array();
	*result_out = json_object();
	if (!jsondoc_flag(request, "overdue", false) ||
	    !bring_elsewhere(*result_out, &u, w->scene, &q, &answer))
		bring(*result_out, &u, w->scene, &q, &answer, err);
	jsondoc_set(*result_out, "sent", u.sent);
	jsondoc_set(*result_out, "spoiled", u.spoiled);
	json_decref(u.left);
	return true;
}
