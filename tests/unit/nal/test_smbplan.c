/* Which bytes are asked for, and which of what comes is handed on. */
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nal/smbplan.h"

struct got {
	char text[200]; /* "0:abc 1:d" */
	size_t size;
	size_t left; /* pieces until the sink has enough */
};

static bool note(size_t range, struct span piece, void *ctx)
{
	struct got *g = ctx;

	g->size += (size_t)snprintf(g->text + g->size, sizeof(g->text) - g->size, "%zu:%.*s ",
				    range, (int)piece.size, (const char *)piece.data);
	return g->left-- > 1;
}

static const struct {
	const char *why;
	struct way_range ranges[4];
	size_t count;
	uint64_t gap, piece;
	const char *asked; /* offset+size */
	const char *given;
} rows[] = {
	{ "one range is one read", { { 2, 3 } }, 1, 0, 100, "2+3 ", "0:cde " },
	{ "a long range is read in pieces",
	  { { 1, 5 } },
	  1,
	  0,
	  2,
	  "1+2 3+2 5+1 ",
	  "0:bc 0:de 0:f " },
	{ "ranges that touch are one read",
	  { { 0, 2 }, { 2, 2 } },
	  2,
	  0,
	  100,
	  "0+4 ",
	  "0:ab 1:cd " },
	{ "a small gap is read along, and dropped",
	  { { 0, 2 }, { 4, 2 } },
	  2,
	  2,
	  100,
	  "0+6 ",
	  "0:ab 1:ef " },
	{ "a wide gap is not", { { 0, 2 }, { 5, 2 } }, 2, 2, 100, "0+2 5+2 ", "0:ab 1:fg " },
	{ "a piece does not end in a gap",
	  { { 0, 3 }, { 5, 3 } },
	  2,
	  4,
	  5,
	  "0+3 5+3 ",
	  "0:abc 1:fgh " },
	{ "a piece ends in a range, the next goes on there",
	  { { 0, 3 }, { 5, 4 }, { 9, 1 } },
	  3,
	  4,
	  6,
	  "0+6 6+4 ",
	  "0:abc 1:f 1:ghi 2:j " },
};

static const char object[] = "abcdefghijklmnop";

static void pieces_hold_what_is_wanted_and_little_else(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct got g = { .left = 100 };
		char asked[200] = "";
		size_t size = 0;
		struct smbplan plan;
		struct way_range piece;

		smbplan_init(&plan, rows[i].ranges, rows[i].count, rows[i].gap);
		while (smbplan_next(&plan, &piece, rows[i].piece)) {
			size += (size_t)snprintf(asked + size, sizeof(asked) - size, "%d+%d ",
						 (int)piece.offset, (int)piece.size);
			assert_true(smbplan_deliver(
				&plan, piece.offset,
				span_of(object + piece.offset, (size_t)piece.size), note, &g));
		}
		if (strcmp(asked, rows[i].asked) != 0 || strcmp(g.text, rows[i].given) != 0)
			fail_msg("%s: asked %s, gave %s", rows[i].why, asked, g.text);
	}
}

static void a_sink_that_has_enough_gets_no_more(void **state UNUSED)
{
	const struct way_range ranges[] = { { 0, 1 }, { 1, 1 }, { 2, 1 } };
	struct got g = { .left = 2 };
	struct smbplan plan;
	struct way_range piece;

	smbplan_init(&plan, ranges, 3, 0);
	assert_true(smbplan_next(&plan, &piece, 100));
	assert_false(smbplan_deliver(&plan, 0, span_of(object, 3), note, &g));
	assert_string_equal(g.text, "0:a 1:b ");
}

static bool count_bytes(size_t range, struct span piece, void *ctx)
{
	uint64_t *sums = ctx;

	sums[range] += piece.size;
	return true;
}

static void random_ranges_arrive_whole(void **state UNUSED)
{
	static const uint8_t bytes[4096];
	unsigned seed = (unsigned)time(NULL);

	print_message("# seed %u\n", seed);
	for (int round = 0; round < 2000; round++) {
		struct way_range ranges[20];
		uint64_t sums[20] = { 0 }, at = 0, piece_max;
		size_t count = 1 + (size_t)rand_r(&seed) % 20;
		struct smbplan plan;
		struct way_range piece;

		for (size_t i = 0; i < count; i++) {
			at += (uint64_t)rand_r(&seed) % 60;
			ranges[i] = (struct way_range){ at, 1 + (uint64_t)rand_r(&seed) % 100 };
			at += ranges[i].size;
		}
		piece_max = 1 + (uint64_t)rand_r(&seed) % 200;
		smbplan_init(&plan, ranges, count, (uint64_t)rand_r(&seed) % 50);
		while (smbplan_next(&plan, &piece, piece_max)) {
			assert_true(piece.size >= 1 && piece.size <= piece_max);
			assert_true(smbplan_deliver(&plan, piece.offset,
						    span_of(bytes, (size_t)piece.size), count_bytes,
						    sums));
		}
		for (size_t i = 0; i < count; i++)
			assert_int_equal(sums[i], ranges[i].size);
	}
}

static void the_gap_is_what_a_round_trip_would_bring(void **state UNUSED)
{
	assert_int_equal(smbplan_gap(0, 0), SMBPLAN_GAP_MIN);
	assert_int_equal(smbplan_gap(10000000, 50000), 500000);
	assert_int_equal(smbplan_gap(1000000000, 500000), SMBPLAN_GAP_MAX);
}

TESTING_MAIN(cmocka_unit_test(pieces_hold_what_is_wanted_and_little_else),
	     cmocka_unit_test(a_sink_that_has_enough_gets_no_more),
	     cmocka_unit_test(random_ranges_arrive_whole),
	     cmocka_unit_test(the_gap_is_what_a_round_trip_would_bring))
