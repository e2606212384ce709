/*
 * The operation `connections`: what the NAL sees open. Local only: no server is asked.
 */
#include "agent/op.h"
#include "agent/scene.h"

bool op_connections(json_t **result_out, struct worker *w, const json_t *request UNUSED,
		    struct err *err)
{
	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err))
		return false;
	*result_out = json_object();
	jsondoc_set(*result_out, "connections", scene_connections(w->scene));
	jsondoc_set_int(*result_out, "leaks", (int64_t)conntab_leaks(scene_conntab(w->scene)));
	return true;
}
