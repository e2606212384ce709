/*
 * The operation `make-room`, of the keeper: remove finished versions until one that a worker will
 * build has room. The worker cannot remove them.
 */
#include "agent/op.h"
#include "common/alloc.h"
#include "content/store.h"

bool op_make_room(json_t **result_out, struct worker *w, const json_t *request, struct err *err)
{
	SCOPED_TEXT char *dir = state_path(&w->state, "store");
	SCOPED(store) struct store *store = NULL;
	struct store_id id;
	const char *package;
	int64_t version, need, quota;

	if (!jsondoc_need_text(&package, request, "package", err) ||
	    !jsondoc_need_int(&version, request, "version", 1, STORE_VERSION_MAX, err) ||
	    !jsondoc_need_int(&need, request, "need", 0, JSONDOC_INT_MAX, err) ||
	    !jsondoc_need_int(&quota, request, "quota", 1, JSONDOC_INT_MAX, err))
		return false;
	if (!store_id_make(&id, package, (uint64_t)version))
		return err_set(err, ERR_FORMAT, "\"%s\" is no package", package);
	if (!store_open(&store, dir, w->clock, err) ||
	    !store_make_room(store, (uint64_t)quota, (uint64_t)need, &id, err))
		return false;
	*result_out = json_object();
	return true;
}
