/*
 * The keys that the corpora of envelopes and receipts were made with: everybody's, for fuzzing
 * only.
 */
#ifndef FUZZ_TRUST_CORPUSKEYS_H
#define FUZZ_TRUST_CORPUSKEYS_H

#include "trust/sealer.h"
#include "trust/signer.h"

#define CORPUSKEYS_STREAM "00112233445566778899aabbccddeeff"
#define CORPUSKEYS_SITE   "LON"
#define CORPUSKEYS_SHARD  "ab12"

static const uint8_t corpuskeys_seed[SIGNER_SEED_SIZE] = "seed of a key that is no secret";
static const uint8_t corpuskeys_secret[SEALER_SECRET_SIZE] = "seal of a key that is no secret";

#endif
