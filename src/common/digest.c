#include "common/digest.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/cryptocalls.h"
#include "common/text.h"

struct digest_ctx {
	SHA256_CTX sha256;
};

/* They fail for want of libcrypto itself: nothing a caller could mend. */
static void must(int done)
{
	if (done != 1)
		abort();
}

struct digest_ctx *digest_new(void)
{
	struct digest_ctx *ctx = alloc_zeroed(1, sizeof(*ctx));

	must(cryptocalls()->sha256_init(&ctx->sha256));
	return ctx;
}

void digest_free(struct digest_ctx *ctx)
{
	free(ctx);
}

void digest_update(struct digest_ctx *ctx, struct span bytes)
{
	must(cryptocalls()->sha256_update(&ctx->sha256, bytes.data, bytes.size));
}

void digest_finish(struct digest_ctx *ctx, struct digest *out)
{
	must(cryptocalls()->sha256_final(out->bytes, &ctx->sha256));
	must(cryptocalls()->sha256_init(&ctx->sha256));
}

void digest_of(struct digest *out, struct span bytes)
{
	struct digest_ctx ctx;

	must(cryptocalls()->sha256_init(&ctx.sha256));
	digest_update(&ctx, bytes);
	digest_finish(&ctx, out);
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
