#include "common/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"

struct digest_ctx {
	EVP_MD_CTX *evp;
	EVP_MD *sha256;
};

/* libcrypto's SHA-256 fails only for want of memory or of itself: nothing a caller could mend. */
static void must(int done)
{
	if (done != 1)
		abort();
}

struct digest_ctx *digest_new(void)
{
	struct digest_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	ctx->evp = EVP_MD_CTX_new();
	/* Fetched once: an implicit fetch for each small chunk costs more than its hash. */
	ctx->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(ctx->evp != NULL && ctx->sha256 != NULL);
	must(EVP_DigestInit_ex2(ctx->evp, ctx->sha256, NULL));
	return ctx;
}

void digest_free(struct digest_ctx *ctx)
{
	if (ctx == NULL)
		return;
	EVP_MD_CTX_free(ctx->evp);
	EVP_MD_free(ctx->sha256);
	free(ctx);
}

void digest_update(struct digest_ctx *ctx, struct span bytes)
{
	must(EVP_DigestUpdate(ctx->evp, bytes.data, bytes.size));
}

void digest_finish(struct digest_ctx *ctx, struct digest *out)
{
	must(EVP_DigestFinal_ex(ctx->evp, out->bytes, NULL));
	must(EVP_DigestInit_ex2(ctx->evp, NULL, NULL));
}

void digest_of(struct digest *out, struct span bytes)
{
	must(EVP_Digest(bytes.data, bytes.size, out->bytes, NULL, EVP_sha256(), NULL));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_SIZE);
}

void digest_print(char *dst, const struct digest *d)
{
	text_hex(dst, d->bytes, DIGEST_SIZE);
}

bool digest_parse(struct digest *out, const char *hex)
{
	return text_unhex(out->bytes, DIGEST_SIZE, hex);
}

bool digest_parse_exact(struct digest *out, const char *hex)
{
	char printed[DIGEST_HEX_SIZE];

	if (!digest_parse(out, hex))
		return false;
	digest_print(printed, out);
	return strcmp(printed, hex) == 0;
}
