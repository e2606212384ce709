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

static void offer(struct publication *pub, const json_t *wish)
{
	const char *name = jsondoc_text(wish, "role");
	json_auto_t *doc = json_object();
	SCOPED(buf) struct buf bytes = { 0 };
	enum siterole role;
	struct err err;

	if (name == NULL || !siterole_named(&role, name) || role >= SITEROLE_SNAPSHOT)
		return;
	jsondoc_set(doc, "signatures", json_incref(json_object_get(wish, "signatures")));
	jsondoc_set(doc, "signed", json_incref(json_object_get(wish, "signed")));
	jsondoc_write(&bytes, doc);
	(void)!issuance_give(pub, role, buf_span(&bytes), &err);
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
		offer(pub, wish);
	}
	if (issuance_build(&files, pub, &signers, 1, &err))
		issuance_accept(pub);
	return 0;
}
