#include "content/chunker.h"

#include "common/alloc.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/random.h"
#include "support/testing.h"

#define STREAM_SIZE ((size_t)24 << 20)
#define CUTS_MAX    4096

struct cuts {
	size_t at[CUTS_MAX];
	size_t count;
};

static void fill(struct buf *b, size_t size, uint64_t seed)
{
	struct random_seq r;

	random_seq_init(&r, seed, "test chunker");
	while (b->size < size)
		buf_put_u64(b, random_seq_next(&r));
}

/* Cut `stream`, offered in pieces of up to `piece` bytes. */
static void cut(struct cuts *out, struct span stream, size_t piece)
{
	struct chunker c;
	size_t at = 0;

	chunker_init(&c);
	out->count = 0;
	while (at < stream.size) {
		size_t size = MIN_OF(piece, stream.size - at);
		size_t n = chunker_next(&c, span_of(stream.data + at, size));

		at += n > 0 ? n : size;
		if (n > 0)
			out->at[out->count++] = at;
		assert_true(out->count < CUTS_MAX);
	}
}

static void sizes_keep_their_bounds(void **state UNUSED)
{
	SCOPED(buf) struct buf stream = { 0 };
	struct cuts cuts;

	fill(&stream, STREAM_SIZE, 1);
	cut(&cuts, buf_span(&stream), STREAM_SIZE);
	for (size_t i = 1; i < cuts.count; i++) {
		size_t size = cuts.at[i] - cuts.at[i - 1];

		assert_in_range(size, CHUNKER_MIN, CHUNKER_MAX);
	}
	assert_in_range(STREAM_SIZE / cuts.count, CHUNKER_AVERAGE * 3 / 4, CHUNKER_AVERAGE * 4 / 3);
}

static void pieces_of_any_size_give_the_same_cuts(void **state UNUSED)
{
	static const size_t pieces[] = { 1, 7, 63, 64, 65, 4096, 16384, 100001 };
	SCOPED(buf) struct buf stream = { 0 };
	struct cuts whole, parts;

	fill(&stream, (size_t)2 << 20, 2);
	cut(&whole, buf_span(&stream), stream.size);
	assert_true(whole.count > 8);
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		cut(&parts, buf_span(&stream), pieces[i]);
		assert_int_equal(parts.count, whole.count);
		assert_memory_equal(parts.at, whole.at, whole.count * sizeof(whole.at[0]));
	}
}

static void constant_bytes_are_cut_at_the_maximum(void **state UNUSED)
{
	SCOPED(buf) struct buf zeros = { 0 };
	struct cuts cuts;

	memset(buf_reserve(&zeros, 4 * CHUNKER_MAX), 0, 4 * CHUNKER_MAX);
	buf_grew(&zeros, 4 * CHUNKER_MAX);
	cut(&cuts, buf_span(&zeros), zeros.size);
	assert_int_equal(cuts.count, 4);
	assert_int_equal(cuts.at[0], CHUNKER_MAX);
}

static void an_insertion_moves_only_the_cuts_around_it(void **state UNUSED)
{
	SCOPED(buf) struct buf before = { 0 };
	SCOPED(buf) struct buf after = { 0 };
	struct cuts a, b;
	size_t shared = 0, i = 0;

	fill(&before, STREAM_SIZE, 3);
	buf_put(&after, before.data, STREAM_SIZE / 2);
	buf_put_text(&after, "seventeen bytes!!");
	buf_put(&after, before.data + STREAM_SIZE / 2, STREAM_SIZE / 2);
	cut(&a, buf_span(&before), STREAM_SIZE);
	cut(&b, buf_span(&after), STREAM_SIZE);
	for (size_t j = 0; j < b.count; j++) {
		size_t was = b.at[j] > STREAM_SIZE / 2 ? b.at[j] - 17 : b.at[j];

		while (i < a.count && a.at[i] < was)
			i++;
		shared += i < a.count && a.at[i] == was;
	}
	assert_true(shared + 6 > a.count);
}

/* Other numbers would end all sharing with what is published already. */
static void cut_points_stay_what_they_are(void **state UNUSED)
{
	static const size_t expected[] = { 65661, 140919, 222956, 337592, 413275, 482143 };
	SCOPED(buf) struct buf stream = { 0 };
	struct cuts cuts;

	fill(&stream, (size_t)1 << 20, 4);
	cut(&cuts, buf_span(&stream), stream.size);
	for (size_t i = 0; i < COUNT_OF(expected); i++)
		assert_int_equal(cuts.at[i], expected[i]);
}

static void a_restart_forgets_what_came_before(void **state UNUSED)
{
	SCOPED(buf) struct buf stream = { 0 };
	struct chunker fresh, used;
	struct span later;

	fill(&stream, (size_t)1 << 20, 5);
	later = span_skip(buf_span(&stream), 5000);
	chunker_init(&fresh);
	chunker_init(&used);
	assert_int_equal(chunker_next(&used, span_of(stream.data, 5000)), 0);
	chunker_restart(&used);
	assert_int_equal(chunker_next(&used, later), chunker_next(&fresh, later));
}

TESTING_MAIN(cmocka_unit_test(sizes_keep_their_bounds),
	     cmocka_unit_test(pieces_of_any_size_give_the_same_cuts),
	     cmocka_unit_test(constant_bytes_are_cut_at_the_maximum),
	     cmocka_unit_test(an_insertion_moves_only_the_cuts_around_it),
	     cmocka_unit_test(cut_points_stay_what_they_are),
	     cmocka_unit_test(a_restart_forgets_what_came_before))
