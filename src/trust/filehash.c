#include "trust/filehash.h"

#include <openssl/evp.h>
#include <string.h>

#include "common/text.h"

#define ALGORITHMS_MAX 16

static const struct algorithm {
	const char *name;
	const EVP_MD *(*method)(void);
	size_t size; /* bytes of the hash */
} algorithms[] = {
	{ "sha256", EVP_sha256, 32 },
	{ "sha512", EVP_sha512, 64 },
	{ "sha384", EVP_sha384, 48 },
	{ "sha224", EVP_sha224, 28 },
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
	uint8_t got[EVP_MAX_MD_SIZE];
	char got_hex[FILEHASH_HEX_SIZE];
	unsigned int size = 0;

	if (EVP_Digest(bytes.data, bytes.size, got, &size, algorithm->method(), NULL) != 1 ||
	    size != algorithm->size)
		return false;
	text_hex(got_hex, got, size);
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
