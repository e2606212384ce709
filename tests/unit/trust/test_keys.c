#include "trust/keys.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/text.h"
#include "support/testing.h"
#include "trust/signer.h"

/* RFC 8032, 7.1, test 3. */
#define RFC_PUBLIC "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
#define RFC_SIGNATURE                                                      \
	"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" \
	"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"

static json_t *key_object(const char *keytype, const char *scheme, const char *public_text)
{
	json_t *object = json_object(), *keyval = json_object();

	jsondoc_set_text(keyval, "public", public_text);
	jsondoc_set_text(object, "keytype", keytype);
	jsondoc_set_text(object, "scheme", scheme);
	jsondoc_set(object, "keyval", keyval);
	return object;
}

static struct key *key_of(const char *keytype, const char *scheme, const char *public_text)
{
	json_auto_t *object = key_object(keytype, scheme, public_text);
	struct key *key = NULL;
	struct err err;

	assert_done(keys_parse(&key, object, &err), &err);
	return key;
}

static char *pem_of(EVP_PKEY *pair)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long size;

	assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
	size = BIO_get_mem_data(bio, &text);
	copy = alloc_copy(text, (size_t)size);
	BIO_free(bio);
	return copy;
}

static size_t sign_evp(uint8_t *signature, EVP_PKEY *pair, const char *message, int pss_salt)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t size = KEYS_SIGNATURE_MAX;
	EVP_PKEY_CTX *ctx;

	assert_int_equal(EVP_DigestSignInit(md, &ctx, EVP_sha256(), NULL, pair), 1);
	if (pss_salt != 0) {
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, pss_salt);
	}
	assert_int_equal(
		EVP_DigestSign(md, signature, &size, (const uint8_t *)message, strlen(message)), 1);
	EVP_MD_CTX_free(md);
	return size;
}

static void ed25519_of_the_rfc_verifies(void **state)
{
	SCOPED(key) struct key *key = key_of("ed25519", "ed25519", RFC_PUBLIC);
	const uint8_t message[] = { 0xaf, 0x82 };

	(void)state;
	assert_int_equal(keys_kind(key), KEY_ED25519);
	assert_true(keys_verify_hex(key, span_of(message, 2), RFC_SIGNATURE));
	assert_false(keys_verify_hex(key, span_of(message, 1), RFC_SIGNATURE));
}

static void bad_signature_texts_are_refused(void **state)
{
	static const struct {
		const char *why;
		const char *text;
	} cases[] = {
		{ "nothing", "" },
		{ "one digit too few", "6291d" },
		{ "no hexadecimal", "zz91d657" },
		{ "one byte short",
		  "91d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
		{ "one byte behind", RFC_SIGNATURE "00" },
	};
	SCOPED(key) struct key *key = key_of("ed25519", "ed25519", RFC_PUBLIC);
	const uint8_t message[] = { 0xaf, 0x82 };
	SCOPED_TEXT char *long_text = alloc_zeroed(2 * KEYS_SIGNATURE_MAX + 3, 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (keys_verify_hex(key, span_of(message, 2), cases[i].text))
			fail_msg("%s verifies", cases[i].why);
	memset(long_text, '0', 2 * KEYS_SIGNATURE_MAX + 2);
	assert_false(keys_verify_hex(key, span_of(message, 2), long_text));
}

static void ecdsa_verifies(void **state)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	SCOPED_TEXT char *pem = pem_of(pair);
	SCOPED(key) struct key *key = key_of("ecdsa", "ecdsa-sha2-nistp256", pem);
	SCOPED(key) struct key *legacy = key_of("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", pem);
	uint8_t signature[KEYS_SIGNATURE_MAX];
	size_t size = sign_evp(signature, pair, "hello", 0);

	(void)state;
	assert_int_equal(keys_kind(key), KEY_ECDSA);
	assert_true(keys_equal(key, legacy));
	assert_true(keys_verify(key, span_of_text("hello"), span_of(signature, size)));
	assert_false(keys_verify(key, span_of_text("hellO"), span_of(signature, size)));
	signature[size - 1] ^= 1;
	assert_false(keys_verify(key, span_of_text("hello"), span_of(signature, size)));
	EVP_PKEY_free(pair);
}

static void rsa_pss_verifies_with_any_salt(void **state)
{
	static const int salts[] = { RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX };
	EVP_PKEY *pair = EVP_RSA_gen(2048);
	SCOPED_TEXT char *pem = pem_of(pair);
	SCOPED(key) struct key *key = key_of("rsa", "rsassa-pss-sha256", pem);
	uint8_t signature[KEYS_SIGNATURE_MAX];
	size_t size;

	(void)state;
	assert_int_equal(keys_kind(key), KEY_RSA_PSS);
	for (size_t i = 0; i < COUNT_OF(salts); i++) {
		size = sign_evp(signature, pair, "hello", salts[i]);
		assert_true(keys_verify(key, span_of_text("hello"), span_of(signature, size)));
		assert_false(keys_verify(key, span_of_text("other"), span_of(signature, size)));
	}
	/* The same key with the older padding is not what the scheme says. */
	size = sign_evp(signature, pair, "hello", 0);
	assert_false(keys_verify(key, span_of_text("hello"), span_of(signature, size)));
	EVP_PKEY_free(pair);
}

static void unusable_keys_are_kept_and_verify_nothing(void **state)
{
	EVP_PKEY *p384 = EVP_EC_gen("P-384"), *rsa1024 = EVP_RSA_gen(1024),
		 *p256 = EVP_EC_gen("P-256");
	SCOPED_TEXT char *pem_p384 = pem_of(p384), *pem_rsa1024 = pem_of(rsa1024),
			 *pem_p256 = pem_of(p256);
	const struct {
		const char *why;
		const char *keytype, *scheme, *public_text;
	} cases[] = {
		{ "an unknown type", "sphincs", "sphincs-256", "00" },
		{ "an unknown scheme", "ed25519", "ed25519ph", RFC_PUBLIC },
		{ "a scheme of another type", "rsa", "ed25519", RFC_PUBLIC },
		{ "hexadecimal too short", "ed25519", "ed25519", "fc51" },
		{ "hexadecimal too long", "ed25519", "ed25519", RFC_PUBLIC "00" },
		{ "no hexadecimal", "ed25519", "ed25519", "this is no key" },
		{ "no PEM", "ecdsa", "ecdsa-sha2-nistp256", RFC_PUBLIC },
		{ "another curve", "ecdsa", "ecdsa-sha2-nistp256", pem_p384 },
		{ "an EC key called rsa", "rsa", "rsassa-pss-sha256", pem_p256 },
		{ "a weak RSA key", "rsa", "rsassa-pss-sha256", pem_rsa1024 },
		{ "an RSA key called ecdsa", "ecdsa", "ecdsa-sha2-nistp256", pem_rsa1024 },
		{ "a PEM that asks for a password", "rsa", "rsassa-pss-sha256",
		  "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
		  "00000000000000000000000000000000\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
		  "-----END PUBLIC KEY-----\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(key)
		struct key *key = key_of(cases[i].keytype, cases[i].scheme, cases[i].public_text);

		if (keys_kind(key) != KEY_UNUSABLE)
			fail_msg("%s is kind %d", cases[i].why, (int)keys_kind(key));
		if (keys_equal(key, key) || keys_verify_hex(key, span_of("", 0), RFC_SIGNATURE))
			fail_msg("%s counts as a key", cases[i].why);
	}
	EVP_PKEY_free(p384);
	EVP_PKEY_free(rsa1024);
	EVP_PKEY_free(p256);
}

static void objects_without_the_members_are_refused(void **state)
{
	static const struct {
		const char *why;
		const char *json;
	} cases[] = {
		{ "no object", "[]" },
		{ "no keytype", "{\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}" },
		{ "keytype is a number",
		  "{\"keytype\":1,\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}" },
		{ "no scheme", "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}" },
		{ "no keyval", "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\"}" },
		{ "keyval is text",
		  "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":\"00\"}" },
		{ "no public", "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{}}" },
	};
	struct key *key;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		json_auto_t *object = NULL;

		assert_done(jsondoc_read(&object, span_of_text(cases[i].json), &err), &err);
		if (keys_parse(&key, object, &err))
			fail_msg("%s is taken", cases[i].why);
		assert_int_equal(err.code, ERR_FORMAT);
	}
}

static void an_endless_public_text_is_refused(void **state)
{
	SCOPED_TEXT char *text = alloc_zeroed(KEYS_PUBLIC_MAX + 2, 1);
	json_auto_t *object = NULL;
	struct key *key;
	struct err err;

	(void)state;
	memset(text, '0', KEYS_PUBLIC_MAX + 1);
	object = key_object("ed25519", "ed25519", text);
	assert_false(keys_parse(&key, object, &err));
}

static void equality_is_by_value(void **state)
{
	static const char upper[] =
		"FC51CD8E6218A1A38DA47ED00230F0580816ED13BA3303AC5DEB911548908025";
	SCOPED(key) struct key *a = key_of("ed25519", "ed25519", RFC_PUBLIC);
	SCOPED(key) struct key *b = key_of("ed25519", "ed25519", upper);
	SCOPED(signer) struct signer *other = signer_generate();
	struct digest id_a, id_b;

	(void)state;
	keys_id(&id_a, a);
	keys_id(&id_b, b);
	assert_false(digest_equal(&id_a, &id_b));
	assert_true(keys_equal(a, b));
	assert_false(keys_equal(a, signer_public(other)));
}

/* The id that securesystemslib computes for this key. */
static void ids_are_those_of_other_programs(void **state)
{
	SCOPED(key) struct key *key = key_of("ed25519", "ed25519", RFC_PUBLIC);
	struct digest id, want;

	(void)state;
	digest_of(&want,
		  span_of_text("{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"" RFC_PUBLIC
			       "\"},\"scheme\":\"ed25519\"}"));
	keys_id(&id, key);
	assert_true(digest_equal(&id, &want));
}

static void what_is_printed_parses_as_the_same_key(void **state)
{
	SCOPED(signer) struct signer *signer = signer_generate();
	json_auto_t *object = keys_print(signer_public(signer));
	SCOPED(key) struct key *again = NULL;
	struct err err;

	(void)state;
	assert_done(keys_parse(&again, object, &err), &err);
	assert_true(keys_equal(again, signer_public(signer)));
}

TESTING_MAIN(cmocka_unit_test(ed25519_of_the_rfc_verifies),
	     cmocka_unit_test(bad_signature_texts_are_refused), cmocka_unit_test(ecdsa_verifies),
	     cmocka_unit_test(rsa_pss_verifies_with_any_salt),
	     cmocka_unit_test(unusable_keys_are_kept_and_verify_nothing),
	     cmocka_unit_test(objects_without_the_members_are_refused),
	     cmocka_unit_test(an_endless_public_text_is_refused),
	     cmocka_unit_test(equality_is_by_value),
	     cmocka_unit_test(ids_are_those_of_other_programs),
	     cmocka_unit_test(what_is_printed_parses_as_the_same_key))
