#include "trust/keys.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/jsondoc.h"
#include "common/text.h"

#define TYPE_MAX     64 /* characters of "keytype" and "scheme" */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

struct key {
	enum key_kind kind;
	char *keytype;
	char *scheme;
	char *public_text;
	uint8_t ed25519[KEYS_ED25519_SIZE];
	EVP_PKEY *evp; /* ecdsa and rsa */
};

/* The spellings in use; the last column fills `key` from the public text, or returns false. */
struct form {
	const char *keytype;
	const char *scheme;
	enum key_kind kind;
	bool (*decode)(struct key *key);
};

static bool decode_ed25519(struct key *key)
{
	return text_unhex(key->ed25519, sizeof(key->ed25519), key->public_text);
}

/* A PEM text may claim to be encrypted: without this, OpenSSL would ask the terminal. */
static int no_password(char *dst, int size, int writing, void *ctx)
{
	(void)dst, (void)size, (void)writing, (void)ctx;
	return -1;
}

static bool decode_pem(struct key *key)
{
	BIO *text = BIO_new_mem_buf(key->public_text, -1);

	if (text == NULL)
		return false;
	key->evp = PEM_read_bio_PUBKEY(text, NULL, no_password, NULL);
	BIO_free(text);
	ERR_clear_error();
	return key->evp != NULL;
}

static bool decode_ecdsa(struct key *key)
{
	char group[32];
	size_t size;

	return decode_pem(key) && EVP_PKEY_is_a(key->evp, "EC") &&
	       EVP_PKEY_get_utf8_string_param(key->evp, OSSL_PKEY_PARAM_GROUP_NAME, group,
					      sizeof(group), &size) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static bool decode_rsa(struct key *key)
{
	return decode_pem(key) && EVP_PKEY_is_a(key->evp, "RSA") &&
	       EVP_PKEY_get_bits(key->evp) >= RSA_BITS_MIN &&
	       EVP_PKEY_get_bits(key->evp) <= RSA_BITS_MAX;
}

static const struct form forms[] = {
	{ "ed25519", "ed25519", KEY_ED25519, decode_ed25519 },
	{ "ecdsa", "ecdsa-sha2-nistp256", KEY_ECDSA, decode_ecdsa },
	{ "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", KEY_ECDSA, decode_ecdsa },
	{ "rsa", "rsassa-pss-sha256", KEY_RSA_PSS, decode_rsa },
};

static void decode(struct key *key)
{
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		const struct form *form = &forms[i];

		if (strcmp(form->keytype, key->keytype) == 0 &&
		    strcmp(form->scheme, key->scheme) == 0) {
			key->kind = form->decode(key) ? form->kind : KEY_UNUSABLE;
			return;
		}
	}
}

static bool need_text(const char **out, const json_t *object, const char *name, size_t max,
		      struct err *err)
{
	if (!jsondoc_need_text(out, object, name, err))
		return false;
	if (strlen(*out) > max)
		return err_set(err, ERR_FORMAT,
			       "key: \"%s\" has %zu characters, at most %zu are read", name,
			       strlen(*out), max);
	return true;
}

bool keys_parse(struct key **out, const json_t *object, struct err *err)
{
	const char *keytype, *scheme, *public_text;
	struct key *key;
	json_t *keyval;

	if (!need_text(&keytype, object, "keytype", TYPE_MAX, err) ||
	    !need_text(&scheme, object, "scheme", TYPE_MAX, err) ||
	    !jsondoc_need_object(&keyval, object, "keyval", err) ||
	    !need_text(&public_text, keyval, "public", KEYS_PUBLIC_MAX, err))
		return false;
	key = alloc_zeroed(1, sizeof(*key));
	key->keytype = alloc_text(keytype);
	key->scheme = alloc_text(scheme);
	key->public_text = alloc_text(public_text);
	decode(key);
	*out = key;
	return true;
}

struct key *keys_new_ed25519(const uint8_t *public_bytes)
{
	char hex[2 * KEYS_ED25519_SIZE + 1];
	struct key *key = alloc_zeroed(1, sizeof(*key));

	text_hex(hex, public_bytes, KEYS_ED25519_SIZE);
	key->kind = KEY_ED25519;
	key->keytype = alloc_text("ed25519");
	key->scheme = alloc_text("ed25519");
	key->public_text = alloc_text(hex);
	memcpy(key->ed25519, public_bytes, KEYS_ED25519_SIZE);
	return key;
}

void keys_free(struct key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->evp);
	free(key->keytype);
	free(key->scheme);
	free(key->public_text);
	free(key);
}

enum key_kind keys_kind(const struct key *key)
{
	return key->kind;
}

const uint8_t *keys_ed25519_bytes(const struct key *key)
{
	return key->kind == KEY_ED25519 ? key->ed25519 : NULL;
}

void keys_client_id(char *dst, const uint8_t *ed25519_bytes)
{
	struct digest d;

	digest_of(&d, span_of(ed25519_bytes, KEYS_ED25519_SIZE));
	text_hex(dst, d.bytes, (KEYS_CLIENT_SIZE - 1) / 2);
}

json_t *keys_print(const struct key *key)
{
	json_t *object = json_object(), *keyval = json_object();

	jsondoc_set_text(keyval, "public", key->public_text);
	jsondoc_set_text(object, "keytype", key->keytype);
	jsondoc_set_text(object, "scheme", key->scheme);
	jsondoc_set(object, "keyval", keyval);
	return object;
}

void keys_id(struct digest *out, const struct key *key)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *object = keys_print(key);
	struct err err;

	/* The object holds texts alone, which always have a canonical form. */
	if (!jsondoc_canonical(&text, object, &err))
		abort();
	digest_of(out, buf_span(&text));
}

bool keys_equal(const struct key *a, const struct key *b)
{
	if (a->kind != b->kind || a->kind == KEY_UNUSABLE)
		return false;
	if (a->kind == KEY_ED25519)
		return memcmp(a->ed25519, b->ed25519, KEYS_ED25519_SIZE) == 0;
	return EVP_PKEY_eq(a->evp, b->evp) == 1;
}

/* Any salt length is taken: signers differ, and the length is bound by the signature itself. */
static bool set_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) == 1;
}

static bool verify_evp(const struct key *key, struct span message, struct span signature)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	bool valid = md != NULL &&
		     EVP_DigestVerifyInit(md, &ctx, EVP_sha256(), NULL, key->evp) == 1 &&
		     (key->kind != KEY_RSA_PSS || set_pss(ctx)) &&
		     EVP_DigestVerify(md, signature.data, signature.size, message.data,
				      message.size) == 1;

	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return valid;
}

static bool verify_ed25519(const struct key *key, struct span message, struct span signature)
{
	return signature.size == crypto_sign_BYTES &&
	       crypto_sign_verify_detached(signature.data, message.data, message.size,
					   key->ed25519) == 0;
}

bool keys_verify(const struct key *key, struct span message, struct span signature)
{
	if (key->kind == KEY_UNUSABLE || signature.size == 0 || signature.size > KEYS_SIGNATURE_MAX)
		return false;
	return key->kind == KEY_ED25519 ? verify_ed25519(key, message, signature)
					: verify_evp(key, message, signature);
}

bool keys_verify_hex(const struct key *key, struct span message, const char *signature_hex)
{
	uint8_t signature[KEYS_SIGNATURE_MAX];
	size_t size = strlen(signature_hex) / 2;

	/* One spelling only: a file of which any byte was changed is another file. */
	return size <= sizeof(signature) && strpbrk(signature_hex, "ABCDEF") == NULL &&
	       text_unhex(signature, size, signature_hex) &&
	       keys_verify(key, message, span_of(signature, size));
}
