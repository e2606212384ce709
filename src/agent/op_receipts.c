/*
 * The operation `receipts`: get the shard with this client's receipts from a CAP, as it is. A child
 * without network checks it (receipt-check).
 */
#include <stdlib.h>

#include "agent/approach.h"
#include "agent/op.h"
#include "agent/scene.h"
#include "common/alloc.h"
#include "common/newfile.h"

#define RECEIPT_BYTES_MAX ((size_t)4 << 20)

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
	struct approach *ap;
	struct way *way;
	bool found = false, done = false;

	if (!jsondoc_need_text(&client, request, "client", err))
		return false;
	name = alloc_printf("receipts/%.4s.json", client);
	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err) ||
	    !scene_choose(&answer, w->scene, &q, err))
		return false;
	ap = approach_begin(w->scene, &q, &answer, 0);
	while (!done && approach_next(&way, ap, err)) {
		const struct way_get ask = { .max = RECEIPT_BYTES_MAX };
		enum nal_class class = way_get_replaced(&object, way, name, &ask, err);

		/* Without a shard nothing was received of these clients yet: no fault of the CAP.
		 */
		found = class == NAL_CLASS_OK;
		done = found || class == NAL_CLASS_NOT_FOUND;
		if (done)
			approach_served(ap);
		else
			approach_failed(ap, class, err);
	}
	json_decref(approach_end(ap, NULL));
	if (!done)
		return err_what(err, "cannot get this client's receipts");
	if (found && !newfile_write(file, 0600, buf_span(&object.bytes), err))
		return false;
	*result_out = json_object();
	jsondoc_set_text(*result_out, "file", found ? file : NULL);
	return true;
}
