/*
 * Secret Ed25519 keys: made, kept in a file, used to sign.
 *
 * A signer lives in memory that is locked where the system allows it, guarded, and wiped by
 * signer_free. It may be used by several threads.
 */
#ifndef TRUST_SIGNER_H
#define TRUST_SIGNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/keys.h"

#define SIGNER_SEED_SIZE      32
#define SIGNER_SIGNATURE_SIZE 64

struct signer;

/* A new random key; the caller frees it. */
struct signer *signer_generate(void) MUST_USE;

/* The key of a given seed of SIGNER_SEED_SIZE bytes: repeatable, for tests. */
struct signer *signer_from_seed(const uint8_t *seed) MUST_USE;

void signer_free(struct signer *signer);
SCOPED_FREE(signer);

/* Read or write the key file `path`; the faults are those of secretfile.h. */
bool signer_load(struct signer **out, const char *path, struct err *err) MUST_USE;
bool signer_save(const struct signer *signer, const char *path, struct err *err) MUST_USE;

/* The public half; borrowed. */
const struct key *signer_public(const struct signer *signer);

/* Sign `message`; `signature` has room for SIGNER_SIGNATURE_SIZE bytes. */
void signer_sign(uint8_t *signature, const struct signer *signer, struct span message);

#endif
