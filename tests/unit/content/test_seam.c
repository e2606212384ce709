/* A chunk is found between its neighbours in a seed, at whole pages of the seed's file. */
#include "support/testing.h"

#include <string.h>

#include "content/seam.h"

#define FILE_SIZE (64u << 10)

struct bench {
	uint8_t file[FILE_SIZE];
	struct digest_ctx *hash;
};

static void set_up(struct bench *b)
{
	uint32_t x = 7;

	for (size_t i = 0; i < sizeof(b->file); i++) {
		x = x * 1664525u + 1013904223u;
		b->file[i] = (uint8_t)(x >> 24);
	}
	b->hash = digest_new();
}

/* The chunk of `count` bytes from `behind_at` on and `others` that end at `front_end`; sides of
 * `room` bytes. */
static enum seam find(struct bench *b, uint32_t behind_at, uint32_t count, uint32_t front_end,
		      uint32_t others, uint32_t room)
{
	uint8_t chunk[FILE_SIZE], got[FILE_SIZE];
	uint32_t size = count + others;
	struct digest id;
	struct seam_sides sides = {
		.behind = span_of(b->file + behind_at, room),
		.behind_at = behind_at,
		.front = span_of(b->file + front_end - room, room),
		.front_end = front_end,
	};
	enum seam how;

	memcpy(chunk, b->file + behind_at, count);
	memcpy(chunk + count, b->file + front_end - others, others);
	digest_of(&id, span_of(chunk, size));
	how = seam_find(got, size, &id, &sides, b->hash);
	if (how != SEAM_NONE)
		assert_memory_equal(got, chunk, size);
	return how;
}

static void a_chunk_is_found_where_one_of_its_sides_ends_at_a_page(void **state)
{
	static const struct {
		const char *what;
		uint32_t behind_at, count, front_end, others, room;
		enum seam want;
	} rows[] = {
		{ "all behind", 5000, 9000, 40000, 0, 9000, SEAM_BEHIND },
		{ "all in front", 5000, 0, 40000, 9000, 9000, SEAM_FRONT },
		{ "the first ends at a page", 5000, 2 * 4096 - 5000, 40001, 6000, 12000,
		  SEAM_BOTH },
		{ "the others begin at one", 5001, 3000, 8 * 4096 + 1234, 1234, 12000, SEAM_BOTH },
		{ "both do", 5000, 2 * 4096 - 5000, 9 * 4096, 4096, 12000, SEAM_BOTH },
		{ "neither does", 5000, 3000, 40000, 2000, 12000, SEAM_NONE },
		{ "a side is too short", 5000, 2 * 4096 - 5000, 40001, 6000, 3000, SEAM_NONE },
		{ "nothing is known behind", 5000, 0, 40000, 9000, 9000, SEAM_FRONT },
	};
	struct bench b;

	(void)state;
	set_up(&b);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum seam got = find(&b, rows[i].behind_at, rows[i].count, rows[i].front_end,
				     rows[i].others, rows[i].room);

		if (got != rows[i].want)
			fail_msg("%s: %d instead of %d", rows[i].what, got, rows[i].want);
	}
	digest_free(b.hash);
}

static void sides_that_are_not_known_are_empty(void **state)
{
	struct seam_sides sides = { .front_end = 0 };
	struct digest id;
	uint8_t got[16];
	struct bench b;

	(void)state;
	set_up(&b);
	digest_of(&id, span_of(b.file, sizeof(got)));
	assert_int_equal(seam_find(got, sizeof(got), &id, &sides, b.hash), SEAM_NONE);
	sides.behind = span_of(b.file, sizeof(got));
	assert_int_equal(seam_find(got, sizeof(got), &id, &sides, b.hash), SEAM_BEHIND);
	assert_memory_equal(got, b.file, sizeof(got));
	digest_free(b.hash);
}

TESTING_MAIN(cmocka_unit_test(a_chunk_is_found_where_one_of_its_sides_ends_at_a_page),
	     cmocka_unit_test(sides_that_are_not_known_are_empty))
