/*
 * The operation `probe`: presence of one server, over the session that this worker has open to it
 * if there is one. Nothing of the state is needed.
 */
#include "agent/op.h"
#include "agent/scene.h"
#include "nal/probe.h"

bool op_probe(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED(locator) struct locator where = { 0 };
	struct way_target target = { .where = &where, .marker = WAY_MARKER_IF_PRESENT };
	struct probe probe;
	const char *text;

	if (!jsondoc_need_text(&text, request, "locator", err) ||
	    !locator_parse_argument(&where, text, err) ||
	    (w->scene == NULL && !scene_new(&w->scene, w, err)))
		return false;
	probe_run(&probe, scene_conntab(w->scene), &target);
	*result_out = probe_json(&probe, text);
	return true;
}
