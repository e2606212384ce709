#include "trust/sealer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "trust/secretfile.h"

#define KIND "x25519"

struct sealer {
	uint8_t secret[crypto_box_SECRETKEYBYTES];
	uint8_t public_key[crypto_box_PUBLICKEYBYTES];
};

static_assert(SEALER_PUBLIC_SIZE == crypto_box_PUBLICKEYBYTES, "the key is libsodium's");
static_assert(SEALER_SECRET_SIZE == crypto_box_SECRETKEYBYTES, "the secret is libsodium's");
static_assert(SEALER_OVERHEAD == crypto_box_SEALBYTES, "the overhead is libsodium's");
static_assert(SECRETFILE_KEY_SIZE == crypto_box_SECRETKEYBYTES, "a key file holds a secret");

/* Fails only without a source of randomness or memory to lock: nothing a caller could mend. */
static struct sealer *sealer_new(void)
{
	struct sealer *sealer;

	if (sodium_init() < 0)
		abort();
	sealer = sodium_malloc(sizeof(*sealer));
	if (sealer == NULL)
		abort();
	return sealer;
}

struct sealer *sealer_generate(void)
{
	struct sealer *sealer = sealer_new();

	crypto_box_keypair(sealer->public_key, sealer->secret);
	return sealer;
}

struct sealer *sealer_from_secret(const uint8_t *secret)
{
	struct sealer *sealer = sealer_new();

	memcpy(sealer->secret, secret, sizeof(sealer->secret));
	crypto_scalarmult_base(sealer->public_key, secret);
	return sealer;
}

void sealer_free(struct sealer *sealer)
{
	if (sealer != NULL)
		sodium_free(sealer); /* wipes it */
}

bool sealer_load(struct sealer **out, const char *path, struct err *err)
{
	SCOPED(sealer) struct sealer *sealer = sealer_new();
	uint8_t computed[crypto_box_PUBLICKEYBYTES];

	if (!secretfile_read(sealer->public_key, sealer->secret, path, KIND, err))
		return false;
	if (crypto_scalarmult_base(computed, sealer->secret) != 0 ||
	    sodium_memcmp(computed, sealer->public_key, sizeof(computed)) != 0)
		return err_set(err, ERR_FORMAT, "key file %s: its two keys are no pair", path);
	*out = sealer;
	sealer = NULL;
	return true;
}

bool sealer_save(const struct sealer *sealer, const char *path, struct err *err)
{
	return secretfile_write(path, KIND, sealer->public_key, sealer->secret, err);
}

const uint8_t *sealer_public(const struct sealer *sealer)
{
	return sealer->public_key;
}

bool sealer_seal(struct buf *out, const uint8_t *public_key, struct span message)
{
	size_t size = message.size + SEALER_OVERHEAD;

	if (sodium_init() < 0)
		abort();
	if (crypto_box_seal(buf_reserve(out, size), message.data, message.size, public_key) != 0)
		return false;
	buf_grew(out, size);
	return true;
}

bool sealer_unseal(struct buf *out, const struct sealer *sealer, struct span sealed)
{
	size_t size;

	if (sealed.size < SEALER_OVERHEAD)
		return false;
	size = sealed.size - SEALER_OVERHEAD;
	/* One byte more, so that an empty message has a place to point to. */
	if (crypto_box_seal_open(buf_reserve(out, size + 1), sealed.data, sealed.size,
				 sealer->public_key, sealer->secret) != 0)
		return false;
	buf_grew(out, size);
	return true;
}
