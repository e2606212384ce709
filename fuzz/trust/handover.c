/* The bytes as the record by which a client's new key accepts, beside one that is well signed. */
#include "trust/handover.h"

#include "common/jsondoc.h"
#include "corpuskeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(signer) struct signer *old_key = signer_from_seed(corpuskeys_seed);
	SCOPED(key) struct key *key = NULL;
	struct handover h = {
		.client = CORPUSKEYS_STREAM,
		.stream = CORPUSKEYS_STREAM,
		.old_key = keys_ed25519_bytes(signer_public(old_key)),
	};
	json_auto_t *record = NULL;
	struct err err;

	if (size > 65536 || !jsondoc_read(&record, span_of(data, size), &err))
		return 0;
	if (handover_read(&key, &h, record) &&
	    (key == NULL || h.next == 0 || !handover_is_record(record)))
		__builtin_trap();
	return 0;
}
