/*
 * The operation `locate`: the choice that would be made now. It opens nothing and asks no server.
 */
#include <string.h>

#include "agent/op.h"
#include "agent/packageview.h"
#include "agent/scene.h"

static void read_question(struct scene_question *q, const json_t *request)
{
	const json_t *seed = json_object_get(request, "seed");

	q->policy = jsondoc_text(request, "policy");
	q->has_seed = json_is_integer(seed);
	q->seed = (uint64_t)json_integer_value(seed);
	q->only = jsondoc_text(request, "dp");
}

static bool answer(json_t **result_out, struct scene *scene, const struct scene_question *q,
		   uint32_t version, struct err *err)
{
	SCOPED(scene_answer) struct scene_answer a = { 0 };
	SCOPED(decision) struct decision *decision = NULL;
	struct way_target first;

	if (!scene_choose(&a, scene, q, err))
		return false;
	decision = scene_record(scene, q, &a, version);
	*result_out = decision_json(decision);
	if (a.result.usable > 0 && scene_target(&first, &a, q, 0, 0) && first.as != NULL)
		jsondoc_set_text(json_object_get(*result_out, "chosen"), "context", first.context);
	return true;
}

static bool locate_cap(json_t **result_out, struct scene *scene, const json_t *request,
		       struct err *err)
{
	struct scene_question q = { .kind = KIND_CAP, .object = "cap", .version_key = "cap" };

	read_question(&q, request);
	return answer(result_out, scene, &q, 0, err);
}

/* Without a package: any DP of the site, as if all of them had it. */
static bool locate_any_dp(json_t **result_out, struct scene *scene, const json_t *request,
			  struct err *err)
{
	struct scene_question q = { .kind = KIND_DP, .object = "dp", .version_key = "dp" };

	read_question(&q, request);
	return answer(result_out, scene, &q, 0, err);
}

static bool locate_package(json_t **result_out, struct worker *w, const json_t *request,
			   struct err *err)
{
	SCOPED(packageview) struct packageview view = { 0 };
	struct scene_question q = { .kind = KIND_DP };

	if (!packageview_open(&view, w, jsondoc_text(request, "package"),
			      jsondoc_int(request, "version", 0), err))
		return false;
	q.object = view.package.id;
	q.version_key = view.key;
	q.listed = view.place->dps;
	q.listed_count = view.place->dp_count;
	read_question(&q, request);
	return answer(result_out, w->scene, &q, (uint32_t)view.place->version, err);
}

bool op_locate(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	const char *kind = jsondoc_text(request, "kind");

	if ((w->scene == NULL && !scene_new(&w->scene, w, err)) || !scene_look(w->scene, err))
		return false;
	op_refresh_if_old(w);
	if (kind != NULL && strcmp(kind, "cap") == 0)
		return locate_cap(result_out, w->scene, request, err);
	if (jsondoc_text(request, "package") == NULL)
		return locate_any_dp(result_out, w->scene, request, err);
	return locate_package(result_out, w, request, err);
}
