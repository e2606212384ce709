/*
 * The "hashes" objects of metadata: {"sha256": "hex", …}, and checking bytes against them.
 *
 * Known are SHA-224, 256, 384 and 512. Other algorithms are ignored beside a known one; an object
 * with none that is known matches nothing.
 *
 * PURE.
 */
#ifndef TRUST_FILEHASH_H
#define TRUST_FILEHASH_H

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define FILEHASH_HEX_SIZE 129 /* the longest known hash as text, with its terminator */

/*
 * True if `hashes` is an object of 1 to 16 texts and those of known algorithms are lower-case hex
 * of their length. ERR_FORMAT says which is not.
 */
bool filehash_is_fine(const json_t *hashes, struct err *err) MUST_USE;

/* True if a known algorithm is listed and every known one that is listed matches `bytes`. */
bool filehash_matches(const json_t *hashes, struct span bytes) MUST_USE;

/*
 * The hash that stands in a target's file name: SHA-256 where listed, else the first. Borrowed from
 * `hashes`.
 */
const char *filehash_for_name(const json_t *hashes);

#endif
