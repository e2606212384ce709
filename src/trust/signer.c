#include "trust/signer.h"

#include <sodium.h>
#include <stdlib.h>

#include "trust/secretfile.h"

#define KIND "ed25519"

struct signer {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	uint8_t seed[SIGNER_SEED_SIZE]; /* on its way from or to a file, or zeros */
	struct key *key;
};

static_assert(SIGNER_SEED_SIZE == crypto_sign_SEEDBYTES, "the seed is libsodium's");
static_assert(SIGNER_SEED_SIZE == SECRETFILE_KEY_SIZE, "a key file holds a seed");
static_assert(SIGNER_SIGNATURE_SIZE == crypto_sign_BYTES, "the signature is libsodium's");

static struct signer *signer_new(void)
{
	struct signer *signer;

	/* Also after the first call; fails only without a source of randomness. */
	if (sodium_init() < 0)
		abort();
	signer = sodium_malloc(sizeof(*signer));
	if (signer == NULL)
		abort();
	signer->key = NULL;
	sodium_memzero(signer->seed, sizeof(signer->seed));
	return signer;
}

struct signer *signer_from_seed(const uint8_t *seed)
{
	struct signer *signer = signer_new();
	uint8_t public_bytes[crypto_sign_PUBLICKEYBYTES];

	crypto_sign_seed_keypair(public_bytes, signer->secret, seed);
	signer->key = keys_new_ed25519(public_bytes);
	return signer;
}

struct signer *signer_generate(void)
{
	struct signer *signer = signer_new();
	uint8_t public_bytes[crypto_sign_PUBLICKEYBYTES];

	crypto_sign_keypair(public_bytes, signer->secret);
	signer->key = keys_new_ed25519(public_bytes);
	return signer;
}

void signer_free(struct signer *signer)
{
	if (signer == NULL)
		return;
	keys_free(signer->key);
	sodium_free(signer); /* wipes it */
}

bool signer_load(struct signer **out, const char *path, struct err *err)
{
	uint8_t public_bytes[SECRETFILE_KEY_SIZE];
	SCOPED(signer) struct signer *file = signer_new();
	SCOPED(signer) struct signer *signer = NULL;

	if (!secretfile_read(public_bytes, file->seed, path, KIND, err))
		return false;
	signer = signer_from_seed(file->seed);
	if (sodium_memcmp(public_bytes, keys_ed25519_bytes(signer->key), sizeof(public_bytes)) != 0)
		return err_set(err, ERR_FORMAT, "key file %s: its two keys are no pair", path);
	*out = signer;
	signer = NULL;
	return true;
}

bool signer_save(const struct signer *signer, const char *path, struct err *err)
{
	SCOPED(signer) struct signer *file = signer_new();

	crypto_sign_ed25519_sk_to_seed(file->seed, signer->secret);
	return secretfile_write(path, KIND, keys_ed25519_bytes(signer->key), file->seed, err);
}

const struct key *signer_public(const struct signer *signer)
{
	return signer->key;
}

void signer_sign(uint8_t *signature, const struct signer *signer, struct span message)
{
	crypto_sign_detached(signature, NULL, message.data, message.size, signer->secret);
}
