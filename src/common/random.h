/*
 * Randomness: the machine's for keys and ids, a seeded generator for draws that must be
 * repeatable (choice, jitter, tests).
 */
#ifndef COMMON_RANDOM_H
#define COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill `dst` from the system's generator; does not fail. */
void random_bytes(void *dst, size_t size);

/* A random UUID (RFC 9562 version 4) as text; `dst` has room for 37 bytes. */
void random_uuid(char *dst);

/*
 * A repeatable generator (SplitMix64: Steele, Lea, Flood 2014). Never for secrets.
 * Two generators with different `stream` texts and one seed are independent.
 */
struct random_seq {
	uint64_t state;
};

void random_seq_init(struct random_seq *r, uint64_t seed, const char *stream);
uint64_t random_seq_next(struct random_seq *r);

/* Uniform in [0, below), without modulo bias; `below` is at least 1. */
uint64_t random_seq_below(struct random_seq *r, uint64_t below);

#endif
