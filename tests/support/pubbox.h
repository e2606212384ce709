/*
 * A publication in memory with keys of its own, for the tests of what it holds and of what is made
 * of it.
 */
#ifndef TESTS_SUPPORT_PUBBOX_H
#define TESTS_SUPPORT_PUBBOX_H

#include <string.h>

#include "common/macros.h"
#include "support/testing.h"
#include "trust/issuance.h"
#include "trust/publication.h"

#define NOW INT64_C(1795000000)
#define DAY INT64_C(86400)

/* One key per role, in their order. */
struct pubbox {
	struct signer *items[SITEROLE_COUNT_];
	struct authority_signers signers;
	struct publication *pub;
	struct issuance_files files; /* of the last build */
};

static inline void pubbox_build(struct pubbox *box, int64_t now_s)
{
	struct err err = { 0 };

	publication_split(box->pub);
	assert_done(issuance_build(&box->files, box->pub, &box->signers, now_s, &err), &err);
}

/* With a first publication that lists nothing. */
static inline void pubbox_make(struct pubbox *box)
{
	const struct key *keys[SITEROLE_COUNT_] = { 0 };

	*box = (struct pubbox){ .pub = publication_new() };
	box->signers.items = box->items;
	for (enum siterole role = 0; role < SITEROLE_COUNT_; role++) {
		struct signer *signer;

		if (siterole_is_bin(role))
			continue;
		signer = signer_generate();
		keys[role] = signer_public(signer);
		box->items[box->signers.count++] = signer;
	}
	publication_found(box->pub, keys);
	pubbox_build(box, NOW);
	issuance_accept(box->pub);
}

static inline void pubbox_scoped(struct pubbox *box)
{
	for (size_t i = 0; i < box->signers.count; i++)
		signer_free(box->items[i]);
	issuance_files_release(&box->files);
	publication_free(box->pub);
}

static inline void pubbox_set(struct pubbox *box, const char *path, const char *text)
{
	struct publication_target target = { .length = strlen(text) };
	struct err err = { 0 };

	digest_of(&target.sha256, span_of_text(text));
	assert_done(publication_set_target(box->pub, path, &target, &err), &err);
}

#endif
