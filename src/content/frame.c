#include "content/frame.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/alloc.h"

/* A frame is decoded whole, so its window may as well reach back to its beginning. */
#define WINDOW_LOG 22

#define QUICK_HASH_LOG 17
#define QUICK_MATCH    6

/* Samples of frame_is_dense: so many pieces of so many bytes, spread evenly. */
#define SAMPLE_PIECES 8
#define SAMPLE_PIECE  512

struct frame_encoder {
	ZSTD_CCtx *zstd;
};

struct frame_decoder {
	ZSTD_DCtx *zstd;
};

/*
 * zstd's own level 3 looks into two tables for each position. In frames of 4 MiB one table that is
 * as large finds nearly the same: packs of programs and of text get 0 to 2 % larger, in three
 * quarters of the time.
 */
static void be_quick(ZSTD_CCtx *zstd)
{
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_strategy, ZSTD_fast);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, QUICK_HASH_LOG);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_minMatch, QUICK_MATCH);
}

struct frame_encoder *frame_encoder_new(int level)
{
	struct frame_encoder *enc = alloc_zeroed(1, sizeof(*enc));

	enc->zstd = ZSTD_createCCtx();
	if (enc->zstd == NULL)
		abort(); /* out of memory, as in alloc */
	ZSTD_CCtx_setParameter(enc->zstd, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(enc->zstd, ZSTD_c_windowLog, WINDOW_LOG);
	ZSTD_CCtx_setParameter(enc->zstd, ZSTD_c_checksumFlag, 0);
	if (level == FRAME_LEVEL_DEFAULT)
		be_quick(enc->zstd);
	return enc;
}

void frame_encoder_free(struct frame_encoder *enc)
{
	if (enc == NULL)
		return;
	ZSTD_freeCCtx(enc->zstd);
	free(enc);
}

enum frame_codec frame_encode(struct buf *out, struct frame_encoder *enc, struct span raw)
{
	size_t room = ZSTD_compressBound(raw.size);
	size_t size;

	assert(raw.size > 0 && raw.size <= FRAME_RAW_MAX);
	size = ZSTD_compress2(enc->zstd, buf_reserve(out, room), room, raw.data, raw.size);
	/* With room for the bound and one-shot use no error is left but lack of memory. */
	if (ZSTD_isError(size) || size > raw.size - raw.size / 32) {
		buf_put_span(out, raw);
		return FRAME_STORED;
	}
	buf_grew(out, size);
	return FRAME_ZSTD;
}

/* log2(n) * 1024 for n of 1 to 512, linear between powers of two: good to a hundredth. */
static uint32_t log2_scaled(uint32_t n)
{
	uint32_t whole = 31u - (uint32_t)__builtin_clz(n);

	return (whole << 10) + (((n - (1u << whole)) << 10) >> whole);
}

bool frame_is_dense(struct span raw)
{
	uint32_t counts[256] = { 0 };
	uint64_t bits = 0;

	if (raw.size < SAMPLE_PIECES * SAMPLE_PIECE)
		return false;
	for (size_t piece = 0; piece < SAMPLE_PIECES; piece++) {
		const uint8_t *p = raw.data +
				   (raw.size - SAMPLE_PIECE) / (SAMPLE_PIECES - 1) * piece;

		for (size_t i = 0; i < SAMPLE_PIECE; i++)
			counts[p[i]]++;
	}
	/*
	 * Sum of n·log2(n): 4,096 random bytes fall 16 to a value, which gives 4,096 · 4 and a
	 * little for the spread. A value seen more often than chance allows drives the sum up fast.
	 */
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		bits += counts[i] > 0 ? (uint64_t)counts[i] * log2_scaled(counts[i]) : 0;
	return bits < (uint64_t)SAMPLE_PIECES * SAMPLE_PIECE * (4096 + 128);
}

struct frame_decoder *frame_decoder_new(void)
{
	struct frame_decoder *dec = alloc_zeroed(1, sizeof(*dec));

	dec->zstd = ZSTD_createDCtx();
	if (dec->zstd == NULL)
		abort(); /* out of memory, as in alloc */
	return dec;
}

void frame_decoder_free(struct frame_decoder *dec)
{
	if (dec == NULL)
		return;
	ZSTD_freeDCtx(dec->zstd);
	free(dec);
}

bool frame_decode(void *dst, size_t raw_size, struct frame_decoder *dec, enum frame_codec codec,
		  struct span stored, struct err *err)
{
	size_t got;

	if (raw_size > FRAME_RAW_MAX || stored.size > FRAME_STORED_MAX)
		return err_set(err, ERR_LIMIT, "frame of %zu bytes for %zu, at most %u are read",
			       stored.size, raw_size, FRAME_RAW_MAX);
	if (codec == FRAME_STORED) {
		if (stored.size != raw_size)
			return err_set(err, ERR_FORMAT, "stored frame has %zu bytes, not %zu",
				       stored.size, raw_size);
		if (raw_size > 0)
			memcpy(dst, stored.data, raw_size);
		return true;
	}
	if (codec != FRAME_ZSTD)
		return err_set(err, ERR_FORMAT, "frame has the unknown codec %d", (int)codec);
	/* One frame that says its size: not several, not one of zstd's skippable ones. */
	if (ZSTD_getFrameContentSize(stored.data, stored.size) != raw_size ||
	    ZSTD_findFrameCompressedSize(stored.data, stored.size) != stored.size)
		return err_set(err, ERR_FORMAT, "no zstd frame of %zu bytes for %zu", stored.size,
			       raw_size);
	got = ZSTD_decompressDCtx(dec->zstd, dst, raw_size, stored.data, stored.size);
	if (ZSTD_isError(got) || got != raw_size)
		return err_set(err, ERR_FORMAT, "zstd frame: %s",
			       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "short");
	return true;
}
