#include "common/cryptocalls.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/latelib.h"
#include "common/log.h"

static const struct latelib_call calls[] = {
	{ "SHA256_Init", offsetof(struct cryptocalls, sha256_init) },
	{ "SHA256_Update", offsetof(struct cryptocalls, sha256_update) },
	{ "SHA256_Final", offsetof(struct cryptocalls, sha256_final) },
	{ "EVP_sha256", offsetof(struct cryptocalls, evp_sha256) },
	{ "HMAC", offsetof(struct cryptocalls, hmac) },
};

/* Written once, before anybody has read it. */
static struct cryptocalls table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	static const struct latelib lib = {
		.file = "libcrypto.so.3",
		.what = "hashing",
		.calls = calls,
		.count = COUNT_OF(calls),
	};
	struct err err = { 0 };

	if (latelib_load(&table, &lib, &err))
		return;
	log_error(&err);
	abort();
}

const struct cryptocalls *cryptocalls(void)
{
	pthread_once(&once, load);
	return &table;
}
