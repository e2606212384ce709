/*
 * SHA-256 by OpenSSL, whole or in pieces.
 *
 * No I/O. A digest context may be reused after digest_finish; one context per thread.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/span.h"

#define DIGEST_SIZE     32
#define DIGEST_HEX_SIZE 65 /* with its terminator */

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

struct digest_ctx;

struct digest_ctx *digest_new(void);
void digest_free(struct digest_ctx *ctx);

static inline void digest_ctx_scoped(struct digest_ctx **ctx)
{
	digest_free(*ctx);
}

/* Add bytes to the running hash. */
void digest_update(struct digest_ctx *ctx, struct span bytes);

/* Store the hash of all that was added since the last finish, and start over. */
void digest_finish(struct digest_ctx *ctx, struct digest *out);

/* The hash of one piece. */
void digest_of(struct digest *out, struct span bytes);

bool digest_equal(const struct digest *a, const struct digest *b);
int digest_compare(const struct digest *a, const struct digest *b);

/* Lower-case hexadecimal; `dst` has room for DIGEST_HEX_SIZE. */
void digest_print(char *dst, const struct digest *d);

/* Exactly 64 hexadecimal digits. */
bool digest_parse(struct digest *out, const char *hex) MUST_USE;

/* Only what digest_print writes: for names, of which each digest has one. */
bool digest_parse_exact(struct digest *out, const char *hex) MUST_USE;

#endif
