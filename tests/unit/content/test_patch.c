/*
 * Patches as a whole: what patchwriter makes of two streams, patchreader turns back into the new
 * one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/random.h"
#include "content/patchform.h"
#include "content/patchreader.h"
#include "content/patchwriter.h"
#include "support/testing.h"

#define MEMORY ((uint64_t)8 << 20)
#define LEVEL  3 /* sizes are not what is tested where it is used */

/* One trip: the streams, the file between them, and what came out. */
struct trip {
	struct buf old, new, file, back;
	struct random_seq r;
};

static void trip_release(struct trip *t)
{
	buf_release(&t->old);
	buf_release(&t->new);
	buf_release(&t->file);
	buf_release(&t->back);
}
SCOPED_RELEASE(trip);

static bool append(struct span bytes, void *ctx, struct err *err UNUSED)
{
	struct trip *t = ctx;

	buf_put_span(&t->file, bytes);
	return true;
}

static bool give_old(void *dst, uint64_t offset, size_t size, void *ctx, struct err *err UNUSED)
{
	const struct trip *t = ctx;

	assert_true(offset <= t->old.size && size <= t->old.size - offset);
	memcpy(dst, t->old.data + offset, size);
	return true;
}

static void expect_old(uint64_t offset, uint64_t size, void *ctx)
{
	const struct trip *t = ctx;

	assert_true(offset <= t->old.size && size <= t->old.size - offset);
}

static bool take_new(struct span bytes, void *ctx, struct err *err UNUSED)
{
	struct trip *t = ctx;

	buf_put_span(&t->back, bytes);
	return true;
}

static void make_files(struct trip *t, const struct delta_file *files, size_t count, int level)
{
	const struct delta_input in = {
		.old_stream = buf_span(&t->old),
		.new_stream = buf_span(&t->new),
		.files = files,
		.file_count = count,
		.memory_max = MEMORY,
	};
	struct err err;

	buf_clear(&t->file);
	assert_done(patchwriter_run(&in, level, append, t, &err), &err);
}

/* One file, which comes from all of the old stream. */
static void make(struct trip *t, int level)
{
	const struct delta_file file = { .new_size = t->new.size, .old_size = t->old.size };

	make_files(t, &file, 1, level);
}

static struct patchreader *new_reader(struct trip *t)
{
	return patchreader_new(&(const struct patchreader_target){
		.old_size = t->old.size,
		.new_size = t->new.size,
		.old = give_old,
		.soon = expect_old,
		.sink = take_new,
		.ctx = t,
	});
}

/* Feed the file in pieces of `piece` bytes. */
static bool apply(struct trip *t, size_t piece, struct err *err)
{
	SCOPED(patchreader) struct patchreader *r = new_reader(t);
	struct span rest = buf_span(&t->file);

	buf_clear(&t->back);
	while (rest.size > 0) {
		size_t n = MIN_OF(rest.size, piece);

		if (!patchreader_feed(r, span_of(rest.data, n), err))
			return false;
		rest = span_skip(rest, n);
	}
	return patchreader_finish(r, err);
}

static void assert_comes_back(struct trip *t, const char *why)
{
	struct err err;

	if (!apply(t, 65536, &err))
		fail_msg("%s: %s", why, err.why);
	if (!span_equal(buf_span(&t->back), buf_span(&t->new)))
		fail_msg("%s: another stream came out", why);
}

static void put_noise(struct buf *b, struct random_seq *r, size_t size)
{
	size_t end = b->size + size;

	while (b->size < end)
		buf_put_u64(b, random_seq_next(r));
	b->size = end;
}

static void put_code(struct buf *b, struct random_seq *r, size_t count)
{
	/* Like a program: short patterns that repeat, with addresses between them. */
	for (size_t i = 0; i < count; i++) {
		buf_put(b, "\x48\x8b\x45\xf8\xe8", 5);
		buf_put_u32(b, (uint32_t)(i * 24 + random_seq_below(r, 64)));
		buf_put_u64(b, random_seq_next(r));
	}
}

/* --- trips ------------------------------------------------------------------------------------ */

static void same(struct trip *t)
{
	put_noise(&t->old, &t->r, 300000);
	buf_put_span(&t->new, buf_span(&t->old));
}

static void empty_to_something(struct trip *t)
{
	put_noise(&t->new, &t->r, 100001);
}

static void something_to_empty(struct trip *t)
{
	put_noise(&t->old, &t->r, 1000);
}

static void nothing_at_all(struct trip *t UNUSED) {}

static void one_byte(struct trip *t)
{
	buf_put_u8(&t->old, 1);
	buf_put_u8(&t->new, 2);
}

static void shorter_than_a_key(struct trip *t)
{
	buf_put_text(&t->old, "fifteen bytes..");
	buf_put_text(&t->new, "fifteen bytes!");
}

static void moved_block(struct trip *t)
{
	put_noise(&t->old, &t->r, 200000);
	buf_put(&t->new, t->old.data + 100000, 100000);
	buf_put(&t->new, t->old.data, 100000);
}

static void unrelated(struct trip *t)
{
	put_noise(&t->old, &t->r, 100000);
	put_noise(&t->new, &t->r, 130000);
}

static void zeros(struct trip *t)
{
	memset(buf_reserve(&t->old, 3000000), 0, 3000000);
	buf_grew(&t->old, 3000000);
	memset(buf_reserve(&t->new, 2999999), 0, 2999999);
	buf_grew(&t->new, 2999999);
	t->new.data[1000000] = 1;
}

static void zeros_shifted(struct trip *t)
{
	buf_put_text(&t->new, "something in front");
	zeros(t);
}

static void at_a_segments_edge(struct trip *t)
{
	put_noise(&t->old, &t->r, PATCHFORM_SEGMENT_MAX);
	buf_put_span(&t->new, buf_span(&t->old));
	for (size_t i = 100; i < t->new.size; i += 65521)
		t->new.data[i] ^= 0x55;
}

static void beyond_a_segments_edge(struct trip *t)
{
	at_a_segments_edge(t);
	put_noise(&t->new, &t->r, 70000);
	buf_put(&t->new, t->old.data, 200000);
}

static void rebuilt_program(struct trip *t)
{
	put_code(&t->old, &t->r, 20000);
	buf_put_span(&t->new, buf_span(&t->old));
	for (size_t i = 0; i < 20000; i++)
		t->new.data[i * 17 + 5] = (uint8_t)(t->new.data[i * 17 + 5] + 16);
}

static const struct {
	const char *why;
	void (*fill)(struct trip *t);
	size_t most; /* bytes of the file; 0: not looked at */
} trips[] = {
	{ "equal streams cost nothing to speak of", same, 100 },
	{ "a first install from nothing", empty_to_something, 0 },
	{ "everything is gone", something_to_empty, 16 },
	{ "nothing to nothing", nothing_at_all, 16 },
	{ "one byte that changed", one_byte, 64 },
	{ "less than a key", shorter_than_a_key, 128 },
	{ "halves that changed places are found", moved_block, 200 },
	{ "streams without a common byte run", unrelated, 131000 },
	{ "zeros, which match everywhere", zeros, 400 },
	{ "zeros behind something new", zeros_shifted, 400 },
	{ "a stream that ends with its segment", at_a_segments_edge, 4000 },
	{ "a stream that goes on behind it", beyond_a_segments_edge, 80000 },
	/* 20,000 changed addresses: the old bytes cost nothing, the changes hardly anything. */
	{ "a program whose addresses have moved", rebuilt_program, 2000 },
};

static void streams_come_back_as_they_were(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(trips); i++) {
		SCOPED(trip) struct trip t = { 0 };

		random_seq_init(&t.r, i, "trip");
		trips[i].fill(&t);
		make(&t, LEVEL);
		assert_comes_back(&t, trips[i].why);
		if (trips[i].most != 0 && t.file.size > trips[i].most)
			fail_msg("%s: %zu bytes, at most %zu", trips[i].why, t.file.size,
				 trips[i].most);
	}
}

/* Cut, doubled, moved and changed at random, over files of random sizes. */
static void mutate(struct trip *t, struct random_seq *r)
{
	size_t pieces = 1 + random_seq_below(r, 12);

	for (size_t i = 0; i < pieces; i++) {
		size_t at = random_seq_below(r, t->old.size + 1);
		size_t size = random_seq_below(r, t->old.size - at + 1);
		size_t begin = t->new.size;

		if (random_seq_below(r, 4) == 0) {
			put_noise(&t->new, r, random_seq_below(r, 5000));
			continue;
		}
		buf_put(&t->new, t->old.data + at, size);
		for (size_t k = random_seq_below(r, 200); k > 0 && size > 0; k--)
			t->new.data[begin + random_seq_below(r, size)] ^= (uint8_t)random_seq_below(
				r, 256);
	}
}

static size_t cut_into_files(struct delta_file *files, size_t max, const struct trip *t,
			     struct random_seq *r)
{
	size_t count = 0;

	for (uint64_t left = t->new.size; left > 0; count++) {
		struct delta_file *f = &files[count];

		f->new_size = count + 1 == max ? left : random_seq_below(r, left) + 1;
		f->old_offset = random_seq_below(r, t->old.size + 1);
		f->old_size = random_seq_below(r, t->old.size - f->old_offset + 1);
		left -= f->new_size;
	}
	return count;
}

static void random_changes_come_back(void **state UNUSED)
{
	const uint64_t seed = testing_seed();

	for (size_t i = 0; i < 150; i++) {
		SCOPED(trip) struct trip t = { 0 };
		struct delta_file files[20] = { 0 };
		size_t count;

		random_seq_init(&t.r, seed + i, "random");
		put_noise(&t.old, &t.r, random_seq_below(&t.r, 60000));
		put_code(&t.old, &t.r, random_seq_below(&t.r, 1000));
		mutate(&t, &t.r);
		count = cut_into_files(files, COUNT_OF(files), &t, &t.r);
		make_files(&t, files, count, LEVEL);
		assert_comes_back(&t, "random changes");
	}
}

/* A file that is renamed and one that moved cost a few bytes, whatever stands between them. */
static void pairs_of_files_are_followed(void **state UNUSED)
{
	SCOPED(trip) struct trip t = { 0 };
	struct delta_file files[2] = {
		{ .new_size = 50000, .old_offset = 90000, .old_size = 50000 },
		{ .new_size = 90000, .old_size = 90000 }
	};

	random_seq_init(&t.r, 1, "pairs");
	put_noise(&t.old, &t.r, 140000);
	buf_put(&t.new, t.old.data + 90000, 50000);
	buf_put(&t.new, t.old.data, 90000);
	make_files(&t, files, 2, LEVEL);
	assert_true(t.file.size < 100);
	assert_comes_back(&t, "pairs");
}

static void pieces_of_any_size_do(void **state UNUSED)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 64, 1000 };
	SCOPED(trip) struct trip t = { 0 };

	random_seq_init(&t.r, 1, "pieces");
	rebuilt_program(&t);
	make(&t, LEVEL);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct err err;

		assert_done(apply(&t, sizes[i], &err), &err);
		assert_true(span_equal(buf_span(&t.back), buf_span(&t.new)));
	}
}

/* --- what lies -------------------------------------------------------------------------------- */

static void fill_small(struct trip *t)
{
	random_seq_init(&t->r, 1, "small");
	put_code(&t->old, &t->r, 200);
	buf_put(&t->new, t->old.data + 1000, 2000);
	put_noise(&t->new, &t->r, 300);
	t->new.data[700] ^= 1;
	make(t, LEVEL);
}

static void a_truncated_file_is_refused(void **state UNUSED)
{
	SCOPED(trip) struct trip t = { 0 };
	size_t whole;

	fill_small(&t);
	whole = t.file.size;
	for (t.file.size = 0; t.file.size < whole; t.file.size++) {
		struct err err = { 0 };

		assert_false(apply(&t, 65536, &err));
		assert_int_equal(err.code, ERR_FORMAT);
	}
	t.file.size = whole;
	buf_put_u8(&t.file, 0);
	assert_false(apply(&t, 65536, &(struct err){ 0 }));
}

/* No flip makes more than the new stream come out; what does come out is for the hashes. */
static void a_flipped_bit_stays_in_bounds(void **state UNUSED)
{
	SCOPED(trip) struct trip t = { 0 };

	fill_small(&t);
	for (size_t bit = 0; bit < t.file.size * 8; bit++) {
		struct err err = { 0 };

		t.file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!apply(&t, 65536, &err))
			assert_int_equal(err.code, ERR_FORMAT);
		assert_true(t.back.size <= t.new.size);
		t.file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void another_stream_than_it_is_for_is_refused(void **state UNUSED)
{
	SCOPED(trip) struct trip t = { 0 };
	struct err err = { 0 };

	fill_small(&t);
	t.old.size--;
	assert_false(apply(&t, 65536, &err));
	assert_int_equal(err.code, ERR_FORMAT);
	assert_non_null(strstr(err.why, "wanted from"));
	t.old.size++;
	t.new.size++;
	assert_false(apply(&t, 65536, &err));
}

static bool refuse(struct span bytes UNUSED, void *ctx UNUSED, struct err *err)
{
	return err_set(err, ERR_DISK_FULL, "no room");
}

static void a_full_disk_ends_the_making(void **state UNUSED)
{
	SCOPED(trip) struct trip t = { 0 };
	struct delta_file file = { .new_size = 100 };
	struct delta_input in = { .files = &file, .file_count = 1, .memory_max = MEMORY };
	struct err err = { 0 };

	random_seq_init(&t.r, 1, "full");
	put_noise(&t.new, &t.r, 100);
	in.new_stream = buf_span(&t.new);
	assert_false(patchwriter_run(&in, LEVEL, refuse, NULL, &err));
	assert_int_equal(err.code, ERR_DISK_FULL);
}

#define CASE(name) cmocka_unit_test(name)

TESTING_MAIN(CASE(streams_come_back_as_they_were), CASE(random_changes_come_back),
	     CASE(pairs_of_files_are_followed), CASE(pieces_of_any_size_do),
	     CASE(a_truncated_file_is_refused), CASE(a_flipped_bit_stays_in_bounds),
	     CASE(another_stream_than_it_is_for_is_refused), CASE(a_full_disk_ends_the_making))
