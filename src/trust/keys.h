/*
 * Public keys as TUF writes them, and the checking of signatures.
 *
 * A key is read from its JSON object, {"keytype","scheme","keyval":{"public"}}, is immutable from
 * then on and may be used by several threads. A key of a kind or with a value that this program
 * cannot use is kept, so that the role that lists it stays readable, but nothing verifies with it.
 * Secret keys live in signer.h.
 *
 * PURE.
 */
#ifndef TRUST_KEYS_H
#define TRUST_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define KEYS_ED25519_SIZE  32   /* bytes of a public Ed25519 key */
#define KEYS_PUBLIC_MAX    8192 /* characters of "public" (a PEM text at most) */
#define KEYS_SIGNATURE_MAX 1024 /* bytes of any signature: RSA with 8,192 bits */
#define KEYS_CLIENT_SIZE   33   /* a client's id, with its terminator */

enum key_kind {
	KEY_UNUSABLE, /* unknown scheme or undecodable value: verifies nothing, equals nothing */
	KEY_ED25519,  /* "ed25519", public key in hexadecimal */
	KEY_ECDSA,    /* "ecdsa" with "ecdsa-sha2-nistp256", PEM */
	KEY_RSA_PSS,  /* "rsa" with "rsassa-pss-sha256", PEM, 2,048 to 8,192 bits */
	KEY_COUNT_,
};

struct key;

/*
 * Read a key from its JSON object. ERR_FORMAT if keytype, scheme or keyval.public is missing, no
 * text or longer than KEYS_PUBLIC_MAX; an unknown or undecodable key succeeds as KEY_UNUSABLE. The
 * caller frees the result; it keeps nothing of `object`.
 */
bool keys_parse(struct key **out, const json_t *object, struct err *err) MUST_USE;

/* The key with these KEYS_ED25519_SIZE bytes; the caller frees it. */
struct key *keys_new_ed25519(const uint8_t *public_bytes) MUST_USE;

void keys_free(struct key *key);

static inline void key_scoped(struct key **key)
{
	keys_free(*key);
}

enum key_kind keys_kind(const struct key *key);

/* The bytes of an Ed25519 key, borrowed; NULL for other kinds. */
const uint8_t *keys_ed25519_bytes(const struct key *key);

/*
 * The id of the client whose key has these KEYS_ED25519_SIZE bytes: 32 hexadecimal digits of their
 * SHA-256. `dst` has room for KEYS_CLIENT_SIZE.
 */
void keys_client_id(char *dst, const uint8_t *ed25519_bytes);

/* The key as a new TUF key object with the texts it was read from; the caller owns it. */
json_t *keys_print(const struct key *key) MUST_USE;

/*
 * The id that we give to a key: SHA-256 of the canonical form of keys_print. Ids in documents of
 * others may be anything; never compare keys by them.
 */
void keys_id(struct digest *out, const struct key *key);

/* True if both are the same key by value, however their objects spell it. */
bool keys_equal(const struct key *a, const struct key *b);

/*
 * True if `signature` (raw bytes; DER for ecdsa) is this key's over `message`. Signatures longer
 * than KEYS_SIGNATURE_MAX and unusable keys are simply false.
 */
bool keys_verify(const struct key *key, struct span message, struct span signature) MUST_USE;

/* The same with the signature as hexadecimal text, as it stands in role files. */
bool keys_verify_hex(const struct key *key, struct span message, const char *signature_hex)
	MUST_USE;

#endif
