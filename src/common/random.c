#include "common/random.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/macros.h"

void random_bytes(void *dst, size_t size)
{
	uint8_t *p = dst;

	while (size > 0) {
		ssize_t got = getrandom(p, size, 0);

		/* While the pool is not ready, early at boot, a signal may come. */
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* only a kernel without getrandom */
		p += got;
		size -= (size_t)got;
	}
}

void random_uuid(char *dst)
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(dst, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void random_seq_init(struct random_seq *r, uint64_t seed, const char *stream)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a of the stream's name */

	for (; *stream != '\0'; stream++)
		hash = (hash ^ (uint8_t)*stream) * 0x100000001b3u;
	r->state = mix(seed + 0x9e3779b97f4a7c15u) ^ mix(hash);
}

uint64_t random_seq_next(struct random_seq *r)
{
	r->state += 0x9e3779b97f4a7c15u;
	return mix(r->state);
}

uint64_t random_seq_below(struct random_seq *r, uint64_t below)
{
	uint64_t limit, value;

	assert(below > 0);
	limit = UINT64_MAX - UINT64_MAX % below;
	do {
		value = random_seq_next(r);
	} while (value >= limit);
	return value % below;
}
