#include "content/frame.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/random.h"
#include "support/testing.h"

static void put_text(struct buf *b, size_t size)
{
	for (unsigned int i = 0; b->size < size; i++)
		buf_printf(b, "line %u of a text that is like the others\n", i);
	b->size = size;
}

static void put_noise(struct buf *b, size_t size)
{
	struct random_seq r;

	random_seq_init(&r, 1, "test frame");
	while (b->size < size)
		buf_put_u64(b, random_seq_next(&r));
	b->size = size;
}

static const struct {
	const char *why;
	void (*put)(struct buf *b, size_t size);
	size_t size;
	enum frame_codec want;
} rows[] = {
	{ "one byte cannot shrink", put_noise, 1, FRAME_STORED },
	{ "text shrinks", put_text, 100000, FRAME_ZSTD },
	{ "the largest frame of text", put_text, FRAME_RAW_MAX, FRAME_ZSTD },
	{ "noise is stored", put_noise, 100000, FRAME_STORED },
	{ "the largest frame of noise", put_noise, FRAME_RAW_MAX, FRAME_STORED },
};

static void frames_come_back_as_they_were(void **state UNUSED)
{
	SCOPED(frame_encoder) struct frame_encoder *enc = frame_encoder_new(FRAME_LEVEL_DEFAULT);
	SCOPED(frame_decoder) struct frame_decoder *dec = frame_decoder_new();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		SCOPED(buf) struct buf raw = { 0 };
		SCOPED(buf) struct buf stored = { 0 };
		SCOPED_TEXT char *back = alloc_zeroed(1, rows[i].size);
		enum frame_codec codec;
		struct err err;

		rows[i].put(&raw, rows[i].size);
		codec = frame_encode(&stored, enc, buf_span(&raw));
		if (codec != rows[i].want)
			fail_msg("%s: codec %d", rows[i].why, (int)codec);
		assert_true(stored.size <= FRAME_STORED_MAX);
		assert_done(frame_decode(back, raw.size, dec, codec, buf_span(&stored), &err),
			    &err);
		assert_memory_equal(back, raw.data, raw.size);
	}
}

static void the_guess_tells_noise_from_text(void **state UNUSED)
{
	static const uint8_t zeros[8192];
	SCOPED(buf) struct buf text = { 0 };
	SCOPED(buf) struct buf noise = { 0 };
	SCOPED(frame_encoder) struct frame_encoder *enc = frame_encoder_new(19);
	SCOPED(buf) struct buf packed = { 0 };

	put_text(&text, (size_t)1 << 20);
	put_noise(&noise, 65536);
	frame_encode(&packed, enc, buf_span(&text));
	assert_false(frame_is_dense(buf_span(&text)));
	assert_false(frame_is_dense(span_of(zeros, sizeof(zeros))));
	assert_true(frame_is_dense(buf_span(&noise)));
	assert_false(frame_is_dense(span_of(noise.data, 4095)));
	assert_false(frame_is_dense(span_of(NULL, 0)));
	/* Base64 of noise has six bits in eight: a compressor saves a quarter. */
	for (size_t i = 0; i < noise.size; i++)
		noise.data[i] = 'A' + noise.data[i] % 64;
	assert_false(frame_is_dense(buf_span(&noise)));
}

static void what_is_no_frame_of_that_size_is_refused(void **state UNUSED)
{
	static uint8_t dst[FRAME_RAW_MAX];
	SCOPED(frame_encoder) struct frame_encoder *enc = frame_encoder_new(FRAME_LEVEL_DEFAULT);
	SCOPED(frame_decoder) struct frame_decoder *dec = frame_decoder_new();
	SCOPED(buf) struct buf raw = { 0 };
	SCOPED(buf) struct buf two = { 0 };
	struct span one;
	struct err err;

	put_text(&raw, 50000);
	frame_encode(&two, enc, buf_span(&raw));
	one = span_of(two.data, two.size);
	assert_false(frame_decode(dst, raw.size - 1, dec, FRAME_ZSTD, one, &err));
	assert_int_equal(err.code, ERR_FORMAT);
	assert_false(frame_decode(dst, raw.size + 1, dec, FRAME_ZSTD, one, &err));
	assert_false(frame_decode(dst, raw.size, dec, FRAME_STORED, one, &err));
	assert_false(frame_decode(dst, raw.size, dec, FRAME_CODEC_COUNT_, one, &err));
	assert_false(frame_decode(dst, sizeof(dst) + 1, dec, FRAME_ZSTD, one, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	for (size_t size = 0; size < one.size; size++)
		assert_false(frame_decode(dst, raw.size, dec, FRAME_ZSTD, span_of(one.data, size),
					  &err));
	frame_encode(&two, enc, buf_span(&raw));
	assert_false(frame_decode(dst, raw.size, dec, FRAME_ZSTD, buf_span(&two), &err));
}

TESTING_MAIN(cmocka_unit_test(frames_come_back_as_they_were),
	     cmocka_unit_test(the_guess_tells_noise_from_text),
	     cmocka_unit_test(what_is_no_frame_of_that_size_is_refused))
