#include "content/chunker.h"

#include "common/random.h"

/*
 * Normalised chunking: a cut is four times rarer than one in CHUNKER_AVERAGE before the average
 * is reached and four times more frequent behind it, which draws the sizes together.
 */
#define BELOW_BEFORE (1ull << (64 - 18))
#define BELOW_BEHIND (1ull << (64 - 14))

/* A byte leaves the hash after 64 more, so this many before the first possible cut settle it. */
#define WARM_UP 64

#define GEAR_SEED 0x5041434b57415931ull

void chunker_init(struct chunker *c)
{
	struct random_seq numbers;

	*c = (struct chunker){ 0 };
	random_seq_init(&numbers, GEAR_SEED, "chunker gear");
	for (size_t i = 0; i < COUNT_OF(c->gear); i++)
		c->gear[i] = random_seq_next(&numbers);
}

void chunker_restart(struct chunker *c)
{
	c->hash = 0;
	c->size = 0;
}

/* Roll over `size` bytes without looking for a cut. */
static void warm_up(struct chunker *c, const uint8_t *bytes, size_t size)
{
	uint64_t hash = c->hash;

	for (size_t i = 0; i < size; i++)
		hash = (hash << 1) + c->gear[bytes[i]];
	c->hash = hash;
}

/*
 * Roll over `size` bytes; returns the number up to and with the first whose hash is below `limit`,
 * or 0. Four bytes a step: only one shift and one addition depend on the step before.
 */
static inline size_t find_cut(struct chunker *c, const uint8_t *bytes, size_t size, uint64_t limit)
{
	const uint64_t *gear = c->gear;
	uint64_t hash = c->hash;
	size_t i = 0;

	for (; i + 4 <= size; i += 4) {
		uint64_t g1 = gear[bytes[i]];
		uint64_t g2 = (g1 << 1) + gear[bytes[i + 1]];
		uint64_t g3 = (g2 << 1) + gear[bytes[i + 2]];
		uint64_t g4 = (g3 << 1) + gear[bytes[i + 3]];

		if ((hash << 1) + g1 < limit)
			return i + 1;
		if ((hash << 2) + g2 < limit)
			return i + 2;
		if ((hash << 3) + g3 < limit)
			return i + 3;
		hash = (hash << 4) + g4;
		if (hash < limit)
			return i + 4;
	}
	for (; i < size; i++) {
		hash = (hash << 1) + gear[bytes[i]];
		if (hash < limit)
			return i + 1;
	}
	c->hash = hash;
	return 0;
}

/* The part of `bytes` that lies before the chunk has `limit` bytes. */
static size_t until(const struct chunker *c, struct span bytes, uint32_t limit)
{
	return c->size < limit ? MIN_OF(bytes.size, (size_t)(limit - c->size)) : 0;
}

size_t chunker_next(struct chunker *c, struct span bytes)
{
	static const struct {
		uint32_t limit;
		uint64_t below;
	} zones[] = {
		{ CHUNKER_AVERAGE, BELOW_BEFORE },
		{ CHUNKER_MAX, BELOW_BEHIND },
	};
	size_t done = until(c, bytes, CHUNKER_MIN - WARM_UP);
	size_t n;

	c->size += (uint32_t)done;
	n = until(c, span_skip(bytes, done), CHUNKER_MIN);
	warm_up(c, bytes.data + done, n);
	c->size += (uint32_t)n;
	done += n;
	for (size_t zone = 0; zone < COUNT_OF(zones); zone++) {
		size_t cut;

		n = until(c, span_skip(bytes, done), zones[zone].limit);
		cut = find_cut(c, bytes.data + done, n, zones[zone].below);
		done += cut > 0 ? cut : n;
		c->size += (uint32_t)(cut > 0 ? cut : n);
		if (cut > 0 || c->size == CHUNKER_MAX) {
			chunker_restart(c);
			return done;
		}
	}
	return 0;
}
