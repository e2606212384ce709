#include "agent/supplier.h"

enum giver_begun supplier_begin(struct giver **out, struct worker *w,
				const struct packageview *view, bool mends, uint32_t lock_wait_ms,
				struct err *err)
{
	json_auto_t *request = json_pack("{s:s}", "op", "begin");
	int socket;

	jsondoc_set_text(request, "package", view->package.id);
	jsondoc_set_int(request, "version", view->version->version);
	jsondoc_set_int(request, "lock_ms", lock_wait_ms);
	jsondoc_set_flag(request, "mend", mends);
	if (!worker_need_keeper(&socket, w, err))
		return GIVER_FAULT;
	return giver_open(out, socket, request, err);
}
