/*
 * The operation `receipts`: get the shard with this client's receipts from a CAP, as it is. A child
 * without network checks it (receipt-check). Where one is overdue it comes from a CAP that is drawn
 * from all: the best one may show an old shard.
 */
#include <stdlib.h>

#include "agent/approach.h"
#include "agent/op.h"
#include "agent/scene.h"
#include "common/alloc.h"
#include "common/newfile.h"

#define RECEIPT_BYTES_MAX ((size_t)4 << 20)

/* The shard from the best CAP of a choice; an empty object: nothing was received of these clients
 * yet, which is no fault of the CAP. */
static bool get_shard(struct way_object *out, struct scene *s, const struct scene_question *q,
		      const struct scene_answer *answer, const char *name, struct err *err)
{
	const struct way_get ask = { .max = RECEIPT_BYTES_MAX };
	struct approach *ap = approach_begin(s, q, answer, 0);
	struct way *way;
	bool done = false;

	while (!done && approach_next(&way, ap, err)) {
		enum nal_class class = way_get_replaced(out, way, name, &ask, err);

		done = class == NAL_CLASS_OK || class == NAL_CLASS_NOT_FOUND;
		if (done)
			approach_served(ap);
		else
			approach_failed(ap, class, err);
	}
	json_decref(approach_end(ap, NULL));
	return done;
}

static bool get_elsewhere(struct way_object *out, struct scene *s, const struct scene_question *q,
			  const struct scene_answer *answer, const char *name)
{
	SCOPED(scene_answer) struct scene_answer other = { 0 };
	struct scene_question only = *q;
	struct err ignored;

	return scene_choose_another(&other, s, &only, answer) &&
	       get_shard(out, s, &only, &other, name, &ignored);
}

bool op_receipts(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	const struct scene_question q = {
		.kind = KIND_CAP,
		.object = "cap",
		.version_key = "cap",
		.for_person = jsondoc_flag(request, "for_person", true),
	};
	SCOPED(scene_answer) struct scene_answer answer = { 0 };
	SCOPED(way_object) struct way_object object = { 0 };
	SCOPED_TEXT char *file = state_path(&w->state, STATE_SHARD);
	SCOPED_TEXT char *name = NULL;
	const char *client;
	bool found;

	if (!jsondoc_need_text(&client, request, "client", err))
		return false;
	name = alloc_printf("receipts/%.4s.json", client);
	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err) ||
	    !scene_choose(&answer, w->scene, &q, err))
		return false;
	if (!(jsondoc_flag(request, "overdue", false) &&
	      get_elsewhere(&object, w->scene, &q, &answer, name)) &&
	    !get_shard(&object, w->scene, &q, &answer, name, err))
		return err_what(err, "cannot get this client's receipts");
	found = object.bytes.size > 0;
	if (found && !newfile_write(file, 0600, buf_span(&object.bytes), err))
		return false;
	*result_out = json_object();
	jsondoc_set_text(*result_out, "file", found ? file : NULL);
	return true;
}
