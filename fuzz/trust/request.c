/*
 * A signed request as an administrator's stick might bring it: it is read, signed once more, and
 * each role in it is offered to a publication whose keys are everybody's.
 */
#include <stdlib.h>

#include "common/jsondoc.h"
#include "corpuskeys.h"
#include "trust/issuance.h"
#include "trust/publication.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct publication *new_publication(const struct signer *signer)
{
	const struct key *keys[SITEROLE_COUNT_];
	struct publication *pub = publication_new();

	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		keys[i] = signer_public(signer);
	publication_found(pub, keys);
	return pub;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(signer) struct signer *signer = signer_from_seed(corpuskeys_seed);
	SCOPED(publication) struct publication *pub = new_publication(signer);
	SCOPED(issuance_files) struct issuance_files files = { .count = 0 };
	const struct authority_signers signers = { .items = &signer, .count = 1 };
	json_auto_t *request = NULL;
	struct err err;
	json_t *wish;
	size_t i;

	if (!jsondoc_read(&request, span_of(data, size), &err))
		return 0;
	json_array_foreach (json_object_get(request, "roles"), i, wish) {
		json_t *signatures = json_object_get(wish, "signatures");

		if (json_is_array(signatures))
			authority_countersign(signatures, json_object_get(wish, "keys"), &signers,
					      span_of_text("text"));
		(void)!issuance_give(pub, wish, &err);
	}
	if (issuance_build(&files, pub, &signers, 1, &err))
		issuance_accept(pub);
	return 0;
}
