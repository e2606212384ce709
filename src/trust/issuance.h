/*
 * The making of new role files out of a publication when something changed or grows old, here or by
 * keys that are elsewhere.
 *
 *     issuance_build → the caller writes the files → issuance_accept
 *     issuance_request → signed elsewhere → issuance_give → issuance_build …
 *
 * Versions only grow: a version that was ever handed out is never used for other bytes, also when
 * the files could not be written.
 *
 * PURE.
 */
#ifndef TRUST_ISSUANCE_H
#define TRUST_ISSUANCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/authority.h"
#include "trust/publication.h"
#include "trust/siterole.h"

/* Role files to write, in this order; their names stand beneath metadata/. */
struct issuance_files {
	struct issuance_file {
		char name[48];
		struct buf bytes;
	} items[SITEROLE_COUNT_];
	size_t count;
};
void issuance_files_release(struct issuance_files *files);
SCOPED_RELEASE(issuance_files);

/* True if the next build makes a role that lists targets, or a first root, for another reason than
 * age. */
bool issuance_has_changes(const struct publication *pub);

/*
 * Make the role files that are due at `now_s`: of roles that changed, of roles that grow old (root,
 * targets, packages: below half their life; site, locations, assignments: below half of 14 days;
 * snapshot and timestamp: older than a day), and of those that name them. Nothing due: no files.
 *
 * A role whose keys are not among `signers` is left as it was, changed or not: publication_waits
 * tells. For snapshot and timestamp, without which nothing can be published, that is ERR_REFUSED.
 * ERR_LIMIT if a role has grown past what clients read.
 */
bool issuance_build(struct issuance_files *out, struct publication *pub,
		    const struct authority_signers *signers, int64_t now_s, struct err *err)
	MUST_USE;

/*
 * What is due at `now_s` and cannot be signed here, as an array of {"role","keys","signed",
 * "signatures"}: docs/formats/request.md. Nothing may be built or accepted afterwards. The caller
 * owns it.
 */
bool issuance_request(json_t **out, struct publication *pub,
		      const struct authority_signers *signers, int64_t now_s, struct err *err)
	MUST_USE;

/*
 * Let the next build hold the role file of one item of a request that was signed elsewhere. Several
 * come in the order of the roles. ERR_FORMAT if it is no such item; ERR_TRUST if too few of the
 * role's keys signed it; ERR_REFUSED if a newer one is published.
 */
bool issuance_give(struct publication *pub, const json_t *wish, struct err *err) MUST_USE;

/* What was built last is published from now on. */
void issuance_accept(struct publication *pub);

#endif
