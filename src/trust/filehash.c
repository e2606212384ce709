#include "trust/filehash.h"

/* Below EVP, as in common/digest.c and for its reason. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

#include "common/digest.h"
#include "common/text.h"

#define ALGORITHMS_MAX 16

/* One hash; false for want of libcrypto itself. */
typedef bool hash_fn(uint8_t *out, struct span bytes);

static bool hash_sha224(uint8_t *out, struct span bytes)
{
	SHA256_CTX ctx;

	return SHA224_Init(&ctx) == 1 && SHA224_Update(&ctx, bytes.data, bytes.size) == 1 &&
	       SHA224_Final(out, &ctx) == 1;
}

static bool hash_sha256(uint8_t *out, struct span bytes)
{
	struct digest got;

	digest_of(&got, bytes);
	memcpy(out, got.bytes, sizeof(got.bytes));
	return true;
}

static bool hash_sha384(uint8_t *out, struct span bytes)
{
	SHA512_CTX ctx;

	return SHA384_Init(&ctx) == 1 && SHA384_Update(&ctx, bytes.data, bytes.size) == 1 &&
	       SHA384_Final(out, &ctx) == 1;
}

static bool hash_sha512(uint8_t *out, struct span bytes)
{
	SHA512_CTX ctx;

	return SHA512_Init(&ctx) == 1 && SHA512_Update(&ctx, bytes.data, bytes.size) == 1 &&
	       SHA512_Final(out, &ctx) == 1;
}

static const struct algorithm {
	const char *name;
	hash_fn *hash;
	size_t size; /* bytes of the hash */
} algorithms[] = {
	{ "sha256", hash_sha256, SHA256_DIGEST_LENGTH },
	{ "sha512", hash_sha512, SHA512_DIGEST_LENGTH },
	{ "sha384", hash_sha384, SHA384_DIGEST_LENGTH },
	{ "sha224", hash_sha224, SHA224_DIGEST_LENGTH },
};

static const struct algorithm *algorithm_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static bool is_lower_hex(const char *text, size_t digits)
{
	return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

bool filehash_is_fine(const json_t *hashes, struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(hashes) || json_object_size(hashes) == 0 ||
	    json_object_size(hashes) > ALGORITHMS_MAX)
		return err_set(err, ERR_FORMAT, "\"hashes\" is no object of 1 to %d texts",
			       ALGORITHMS_MAX);
	json_object_foreach ((json_t *)(uintptr_t)hashes, name, value) {
		const struct algorithm *known = algorithm_find(name);
		const char *hex = json_string_value(value);

		if (hex == NULL || hex[0] == '\0' || strchr(hex, '/') != NULL ||
		    strlen(hex) >= FILEHASH_HEX_SIZE ||
		    (known != NULL && !is_lower_hex(hex, known->size * 2)))
			return err_set(err, ERR_FORMAT, "the %s hash is not well-formed", name);
	}
	return true;
}

static bool one_matches(const struct algorithm *algorithm, const char *hex, struct span bytes)
{
	uint8_t got[SHA512_DIGEST_LENGTH];
	char got_hex[FILEHASH_HEX_SIZE];

	if (!algorithm->hash(got, bytes))
		return false;
	text_hex(got_hex, got, algorithm->size);
	return strcmp(got_hex, hex) == 0;
}

bool filehash_matches(const json_t *hashes, struct span bytes)
{
	bool known = false;

	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		const char *hex = json_string_value(json_object_get(hashes, algorithms[i].name));

		if (hex == NULL)
			continue;
		if (!one_matches(&algorithms[i], hex, bytes))
			return false;
		known = true;
	}
	return known;
}

const char *filehash_for_name(const json_t *hashes)
{
	const char *sha256 = json_string_value(json_object_get(hashes, "sha256"));

	if (sha256 != NULL)
		return sha256;
	return json_string_value(
		json_object_iter_value(json_object_iter((json_t *)(uintptr_t)hashes)));
}
