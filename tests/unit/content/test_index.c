#include "content/index.h"

#include <string.h>

#include "common/alloc.h"
#include "content/chunker.h"
#include "content/compact.h"
#include "support/testing.h"

static const struct compact_kind kind = {
	.magic = "PWIX", .noun = "index", .bytes_max = 1u << 26, .body_max = 1u << 26
};

static void number_digest(struct digest *out, uint8_t n)
{
	memset(out->bytes, n, DIGEST_SIZE);
}

static void add_chunk(struct index *idx, uint8_t n, uint32_t size)
{
	struct digest id;

	number_digest(&id, n);
	index_add_chunk(idx, &id, size);
}

static void add_pack(struct index *idx, uint8_t n, uint64_t size)
{
	struct digest digest;

	number_digest(&digest, n);
	index_add_pack(idx, &digest, size);
}

static struct index *sample(void)
{
	struct index *idx = index_new();
	struct index_delta stream = { .kind = INDEX_STREAM, .size = 77 };
	struct index_delta patch = { .kind = INDEX_PATCH, .from = 3, .size = 7 };

	add_pack(idx, 1, 1000);
	index_add_frame(idx, 0, 400, FRAME_ZSTD);
	add_chunk(idx, 10, 20000);
	add_chunk(idx, 11, 30000);
	index_add_frame(idx, 700, 300, FRAME_STORED);
	add_chunk(idx, 12, 300);
	add_pack(idx, 2, 5000);
	index_add_frame(idx, 1000, 4000, FRAME_ZSTD);
	add_chunk(idx, 13, 16384);
	add_chunk(idx, 10, 20000);
	number_digest(&stream.digest, 20);
	number_digest(&patch.digest, 21);
	index_add_delta(idx, &stream);
	index_add_delta(idx, &patch);
	return idx;
}

static void write_sample(struct buf *out)
{
	SCOPED(index) struct index *idx = sample();
	struct err err;

	assert_done(index_write(out, idx, &err), &err);
}

static void an_index_comes_back_as_it_was(void **state UNUSED)
{
	SCOPED(index) struct index *made = sample();
	SCOPED(index) struct index *read = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(buf) struct buf again = { 0 };
	struct err err;

	write_sample(&bytes);
	assert_done(index_read(&read, buf_span(&bytes), &err), &err);
	assert_int_equal(index_pack_count(read), 2);
	assert_int_equal(index_frame_count(read), 3);
	assert_int_equal(index_chunk_count(read), 5);
	assert_int_equal(index_delta_count(read), 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_memory_equal(index_pack_at(read, i), index_pack_at(made, i),
				    sizeof(struct index_pack));
	for (uint32_t i = 0; i < 3; i++)
		assert_memory_equal(index_frame_at(read, i), index_frame_at(made, i),
				    sizeof(struct index_frame));
	for (uint32_t i = 0; i < 5; i++)
		assert_memory_equal(index_chunk_at(read, i), index_chunk_at(made, i),
				    sizeof(struct index_chunk));
	assert_int_equal(index_delta_at(read, 1)->from, 3);
	assert_done(index_write(&again, read, &err), &err);
	assert_true(span_equal(buf_span(&bytes), buf_span(&again)));
}

static void chunks_are_found_by_id(void **state UNUSED)
{
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct digest id;
	struct err err;

	write_sample(&bytes);
	assert_done(index_read(&idx, buf_span(&bytes), &err), &err);
	number_digest(&id, 11);
	assert_int_equal(index_find(idx, &id)->frame, 0);
	assert_int_equal(index_find(idx, &id)->offset, 20000);
	number_digest(&id, 10);
	assert_int_equal(index_find(idx, &id)->frame, 0);
	number_digest(&id, 99);
	assert_null(index_find(idx, &id));
}

static void objects_are_what_a_version_needs(void **state UNUSED)
{
	static const char *const want[] = {
		"packs/0101010101010101010101010101010101010101010101010101010101010101.pack",
		"packs/0202020202020202020202020202020202020202020202020202020202020202.pack",
		"patches/none-7-1414141414141414141414141414141414141414141414141414141414141414",
		"patches/3-7-1515151515151515151515151515151515151515151515151515151515151515",
	};
	static const uint64_t sizes[] = { 1000, 5000, 77, 7 };
	SCOPED(index) struct index *idx = sample();
	SCOPED(buf) struct buf bytes = { 0 };
	struct index_object object;
	struct digest digest;
	uint32_t version;
	size_t n = 0;

	write_sample(&bytes);
	for (struct index_object_iter it = index_objects(idx, 7, buf_span(&bytes));
	     index_object_next(&it, &object); n++) {
		if (n == COUNT_OF(want))
			break;
		assert_string_equal(object.name, want[n]);
		assert_int_equal(object.size, sizes[n]);
	}
	assert_int_equal(n, COUNT_OF(want));
	assert_true(strncmp(object.name, "index/7-", 8) == 0);
	assert_int_equal(object.size, bytes.size);
	assert_true(index_parse_name(&version, &digest, object.name + strlen("index/")));
	assert_int_equal(version, 7);
	assert_true(digest_equal(&digest, &object.digest));
}

static void names_have_one_form(void **state UNUSED)
{
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const struct {
		const char *why, *name;
		bool fine;
	} cases[] = {
		{ "the form", "12-" HEX, true },
		{ "no version", "-" HEX, false },
		{ "version 0", "0-" HEX, false },
		{ "leading zero", "01-" HEX, false },
		{ "version too large", "4294967296-" HEX, false },
		{ "upper case",
		  "1-00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff", false },
		{ "short", "1-0011", false },
		{ "something behind", "1-" HEX ".tmp", false },
		{ "no dash", "1" HEX, false },
		{ "a hidden file", ".new-0011223344556677", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct digest digest;
		uint32_t version;

		if (index_parse_name(&version, &digest, cases[i].name) != cases[i].fine)
			fail_msg("%s: %s", cases[i].why, cases[i].name);
	}
}

static void spoil_order(struct index *idx)
{
	add_pack(idx, 2, 9);
	index_add_frame(idx, 0, 9, FRAME_ZSTD);
	add_chunk(idx, 1, 9);
	add_pack(idx, 1, 9);
	index_add_frame(idx, 0, 9, FRAME_ZSTD);
	add_chunk(idx, 1, 9);
}

static void spoil_pack_without_frames(struct index *idx)
{
	add_pack(idx, 1, 9);
}

static void spoil_frame_outside(struct index *idx)
{
	add_pack(idx, 1, 9);
	index_add_frame(idx, 1, 9, FRAME_ZSTD);
	add_chunk(idx, 1, 9);
}

static void spoil_overlap(struct index *idx)
{
	add_pack(idx, 1, 100);
	index_add_frame(idx, 0, 50, FRAME_ZSTD);
	add_chunk(idx, 1, 90);
	index_add_frame(idx, 49, 50, FRAME_ZSTD);
	add_chunk(idx, 2, 90);
}

static void spoil_stored_size(struct index *idx)
{
	add_pack(idx, 1, 9);
	index_add_frame(idx, 0, 9, FRAME_STORED);
	add_chunk(idx, 1, 8);
}

static void spoil_frame_without_chunks(struct index *idx)
{
	add_pack(idx, 1, 9);
	index_add_frame(idx, 0, 9, FRAME_ZSTD);
}

static void spoil_frame_too_large(struct index *idx)
{
	add_pack(idx, 1, 9);
	index_add_frame(idx, 0, 9, FRAME_ZSTD);
	for (unsigned int i = 0; i <= FRAME_RAW_MAX / CHUNKER_MAX; i++)
		add_chunk(idx, (uint8_t)i, CHUNKER_MAX);
}

static void spoil_chunk_size(struct index *idx)
{
	add_pack(idx, 1, 9);
	index_add_frame(idx, 0, 9, FRAME_ZSTD);
	add_chunk(idx, 1, 0);
}

static void spoil_delta(struct index *idx)
{
	index_add_delta(idx, &(struct index_delta){ .kind = INDEX_PATCH, .from = 0 });
}

static void spoil_delta_order(struct index *idx)
{
	index_add_delta(idx, &(struct index_delta){ .kind = INDEX_PATCH, .from = 2 });
	index_add_delta(idx, &(struct index_delta){ .kind = INDEX_PATCH, .from = 2 });
}

static const struct {
	const char *why;
	void (*spoil)(struct index *idx);
} refused[] = {
	{ "packs out of order", spoil_order },
	{ "pack without frames", spoil_pack_without_frames },
	{ "frame outside its pack", spoil_frame_outside },
	{ "frames that overlap", spoil_overlap },
	{ "stored frame of another size", spoil_stored_size },
	{ "frame without chunks", spoil_frame_without_chunks },
	{ "frame too large", spoil_frame_too_large },
	{ "chunk without bytes", spoil_chunk_size },
	{ "patch from nowhere", spoil_delta },
	{ "patch twice", spoil_delta_order },
};

static void impossible_places_are_not_written(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		SCOPED(index) struct index *idx = index_new();
		SCOPED(buf) struct buf bytes = { 0 };
		struct err err;

		/* A gap in the file form is a difference of offsets, so overlap shows here alone.
		 */
		refused[i].spoil(idx);
		if (index_write(&bytes, idx, &err))
			fail_msg("written: %s", refused[i].why);
	}
}

static void ids_made_to_collide_are_refused(void **state UNUSED)
{
	SCOPED(index) struct index *made = index_new();
	SCOPED(index) struct index *read = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	add_pack(made, 1, 9);
	index_add_frame(made, 0, 9, FRAME_ZSTD);
	for (uint32_t i = 0; i < 1000; i++) {
		struct digest id = { { 0 } };

		memcpy(id.bytes + 8, &i, sizeof(i));
		index_add_chunk(made, &id, 1);
	}
	assert_done(index_write(&bytes, made, &err), &err);
	assert_false(index_read(&read, buf_span(&bytes), &err));
	assert_int_equal(err.code, ERR_FORMAT);
}

static void short_indexes_are_refused(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };

	write_sample(&bytes);
	for (size_t size = 0; size < bytes.size; size++) {
		SCOPED(index) struct index *idx = NULL;
		struct err err;

		assert_false(index_read(&idx, span_of(bytes.data, size), &err));
	}
}

static void flipped_bytes_do_no_harm(void **state UNUSED)
{
	SCOPED(buf) struct buf bytes = { 0 };

	write_sample(&bytes);
	for (size_t i = 0; i < bytes.size * 8; i++) {
		SCOPED(index) struct index *idx = NULL;
		SCOPED(buf) struct buf again = { 0 };
		struct err err;

		bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
		if (index_read(&idx, buf_span(&bytes), &err))
			assert_done(index_write(&again, idx, &err), &err);
		bytes.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

static void bytes_behind_the_end_are_refused(void **state UNUSED)
{
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf fine = { 0 };
	SCOPED(buf) struct buf bytes = { 0 };
	struct err err;

	assert_true(compact_write(&fine, &kind, span_of("\0\0", 2), &err));
	assert_done(index_read(&idx, buf_span(&fine), &err), &err);
	assert_true(compact_write(&bytes, &kind, span_of("\0\0\0", 3), &err));
	index_free(idx);
	idx = NULL;
	assert_false(index_read(&idx, buf_span(&bytes), &err));
}

TESTING_MAIN(cmocka_unit_test(an_index_comes_back_as_it_was),
	     cmocka_unit_test(chunks_are_found_by_id),
	     cmocka_unit_test(objects_are_what_a_version_needs),
	     cmocka_unit_test(names_have_one_form),
	     cmocka_unit_test(impossible_places_are_not_written),
	     cmocka_unit_test(ids_made_to_collide_are_refused),
	     cmocka_unit_test(short_indexes_are_refused),
	     cmocka_unit_test(flipped_bytes_do_no_harm),
	     cmocka_unit_test(bytes_behind_the_end_are_refused))
