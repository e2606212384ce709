/*
 * The file that holds one 32-byte secret key: see docs/formats/keys.md. Made with mode 0600, never
 * replaced, and read only if nobody but its owner can.
 *
 * The bytes pass through wiped memory alone, never through a buf or the log.
 */
#ifndef TRUST_SECRETFILE_H
#define TRUST_SECRETFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

#define SECRETFILE_KEY_SIZE 32
#define SECRETFILE_KIND_MAX 16 /* characters of a kind */

/*
 * Write a new file at `path`: `kind` is a word ("ed25519"), both keys have SECRETFILE_KEY_SIZE
 * bytes. ERR_EXISTS if something is there already: a key that is replaced is a key lost.
 */
bool secretfile_write(const char *path, const char *kind, const uint8_t *public_key,
		      const uint8_t *secret_key, struct err *err) MUST_USE;

/*
 * Read both keys of a file that must be of `kind`. ERR_PERMISSION if it is owned by somebody else
 * than root or the effective user, or readable by others; ERR_FORMAT if it is no such file.
 * `secret_out` should be memory that the caller wipes.
 */
bool secretfile_read(uint8_t *public_out, uint8_t *secret_out, const char *path, const char *kind,
		     struct err *err) MUST_USE;

#endif
