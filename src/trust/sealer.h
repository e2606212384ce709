/*
 * The site's X25519 key pair: clients seal uploads to its public half, the site alone opens them
 * (libsodium's sealed boxes: X25519, XSalsa20-Poly1305).
 *
 * The secret half lives in locked, guarded memory and is wiped by sealer_free.
 */
#ifndef TRUST_SEALER_H
#define TRUST_SEALER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define SEALER_PUBLIC_SIZE 32
#define SEALER_SECRET_SIZE 32
#define SEALER_OVERHEAD    48 /* bytes by which a sealed message is longer */

struct sealer;

/* A new random pair; the caller frees it. */
struct sealer *sealer_generate(void) MUST_USE;

/* The pair of a given secret of SEALER_SECRET_SIZE bytes: repeatable, for tests. */
struct sealer *sealer_from_secret(const uint8_t *secret) MUST_USE;

void sealer_free(struct sealer *sealer);
SCOPED_FREE(sealer);

/* Read or write the key file `path`; the faults are those of secretfile.h. */
bool sealer_load(struct sealer **out, const char *path, struct err *err) MUST_USE;
bool sealer_save(const struct sealer *sealer, const char *path, struct err *err) MUST_USE;

/* The SEALER_PUBLIC_SIZE bytes that others seal to; borrowed. */
const uint8_t *sealer_public(const struct sealer *sealer);

/*
 * Append `message`, sealed to `public_key`, to `out`. Draws a one-time key from the system. False
 * if the key is one that no pair has (a point of low order).
 */
bool sealer_seal(struct buf *out, const uint8_t *public_key, struct span message) MUST_USE;

/* Append what `sealed` holds to `out`; false, and nothing appended, if it was not sealed to us. */
bool sealer_unseal(struct buf *out, const struct sealer *sealer, struct span sealed) MUST_USE;

#endif
