/*
 * Write the corpus of the request target into the folder named on the command line: what a site
 * asks for whose keys are elsewhere, unsigned and signed. Run after a change of the form, by hand:
 *
 *     build/fuzz/trust/request_corpus fuzz/corpus/request
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "corpuskeys.h"
#include "trust/issuance.h"
#include "trust/publication.h"

static void write_one(const char *folder, const char *name, const json_t *request)
{
	SCOPED_TEXT char *path = path_join(folder, name);
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	jsondoc_write(&bytes, request);
	if (!newfile_write(path, 0644, buf_span(&bytes), &err))
		exit(EXIT_FAILURE);
}

static void sign_all(json_t *roles, const struct authority_signers *signers)
{
	json_t *wish;
	size_t i;

	json_array_foreach (roles, i, wish) {
		SCOPED(buf) struct buf text = { 0 };
		struct err err;

		if (!jsondoc_canonical(&text, json_object_get(wish, "signed"), &err))
			exit(EXIT_FAILURE);
		authority_countersign(json_object_get(wish, "signatures"),
				      json_object_get(wish, "keys"), signers, buf_span(&text));
	}
}

int main(int argc, char **argv)
{
	SCOPED(signer) struct signer *signer = signer_from_seed(corpuskeys_seed);
	SCOPED(publication) struct publication *pub = publication_new();
	const struct authority_signers all = { .items = &signer, .count = 1 };
	SCOPED(issuance_files) struct issuance_files files = { .count = 0 };
	const struct key *keys[SITEROLE_COUNT_];
	json_auto_t *request = json_object();
	json_t *roles = json_array();
	struct err err;

	if (argc != 2)
		return EXIT_FAILURE;
	for (size_t i = 0; i < SITEROLE_COUNT_; i++)
		keys[i] = signer_public(signer);
	publication_found(pub, keys);
	if (!issuance_build(&files, pub, &all, 1, &err))
		return EXIT_FAILURE;
	/* The very roles of a first publication, as if they had been signed elsewhere. */
	for (size_t i = 0; i <= SITEROLE_ASSIGNMENTS; i++) {
		json_auto_t *doc = NULL;
		json_t *wish = json_object();

		if (!jsondoc_read(&doc, buf_span(&files.items[i].bytes), &err))
			return EXIT_FAILURE;
		jsondoc_set_text(wish, "role", siterole_name((enum siterole)i).text);
		jsondoc_set(
			wish, "keys",
			json_deep_copy(
				i < SITEROLE_PACKAGES
					? json_object_get(publication_signers(pub, SITEROLE_ROOT),
							  "keys")
					: json_object_get(publication_signers(pub, SITEROLE_SITE),
							  "keys")));
		jsondoc_set(wish, "signed", json_incref(json_object_get(doc, "signed")));
		jsondoc_set(wish, "signatures", json_array());
		json_array_append_new(roles, wish);
	}
	jsondoc_set_int(request, "format", 1);
	jsondoc_set_text(request, "site", CORPUSKEYS_SITE);
	jsondoc_set(request, "roles", roles);
	write_one(argv[1], "unsigned", request);
	sign_all(roles, &all);
	write_one(argv[1], "signed", request);
	return EXIT_SUCCESS;
}
