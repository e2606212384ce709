/*
 * One version of one role file of our own site: its body, and what others list of it.
 *
 * PURE.
 */
#ifndef TRUST_EDITION_H
#define TRUST_EDITION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

struct edition {
	json_t *body; /* the "signed" member; NULL: there is none */
	int64_t version;
	int64_t expires_s;
	uint64_t length; /* of the whole file, as is the hash */
	struct digest sha256;
};

void edition_release(struct edition *e);

/*
 * Read a file with the "_type" that is expected; `doc` is `bytes` as parsed, and its body is
 * shared. ERR_FORMAT. The caller releases `e`, whatever the outcome.
 */
bool edition_read(struct edition *e, const char *type, const json_t *doc, struct span bytes,
		  struct err *err) MUST_USE;

/* {"hashes":{"sha256"},"length"}, as lists have it of a file; the caller owns it. */
json_t *edition_new_listing(uint64_t length, const struct digest *sha256) MUST_USE;

#endif
