/*
 * The operation `rekey`: make the key that this client is to have next, beside the one that it has.
 * Without network. Doing it again keeps the key.
 */
#include "agent/op.h"
#include "common/alloc.h"
#include "common/path.h"
#include "trust/signer.h"

bool op_rekey(json_t **result_out, struct worker *w, const json_t *request UNUSED, struct err *err)
{
	SCOPED_TEXT char *path = state_path(&w->state, STATE_NEXT_KEY);
	SCOPED(signer) struct signer *key = NULL;

	if (!path_exists(path)) {
		key = signer_generate();
		if (!signer_save(key, path, err))
			return false;
	}
	*result_out = json_object();
	return true;
}
