/*
 * libcrypto's functions that programs use which seldom need any: it wants 21,000 places of itself
 * set when it is loaded, which is 1.1 ms of each command that links it (bench/README.md). It is
 * loaded with the first hash. What verifies signatures links it (trust/).
 *
 * Calls go through a table, cryptocalls()->sha256_init() for SHA256_Init(). These are the calls
 * below EVP, since EVP sets up libcrypto as a whole at its first hash and takes it down at the end:
 * 1.8 ms. The code that hashes is the same. OpenSSL 3 advises against them for the sake of
 * providers, which are not wanted here.
 */
#ifndef COMMON_CRYPTOCALLS_H
#define COMMON_CRYPTOCALLS_H

#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

struct cryptocalls {
	typeof(&SHA256_Init) sha256_init;
	typeof(&SHA256_Update) sha256_update;
	typeof(&SHA256_Final) sha256_final;
	typeof(&EVP_sha256) evp_sha256;
	typeof(&HMAC) hmac;
};

/* The table, the same for all threads; the first call loads the library. Without it the program is
 * stopped: it is as necessary as the C library. */
const struct cryptocalls *cryptocalls(void);

#endif
