/*
 * A frame: up to FRAME_RAW_MAX bytes of whole chunks, as one zstd frame or stored as they are.
 * Frames stand back to back in packs and are the unit that is fetched and decoded.
 *
 * Encoders and decoders hold a zstd context each; one per thread.
 *
 * PURE.
 */
#ifndef CONTENT_FRAME_H
#define CONTENT_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define FRAME_RAW_MAX       (4u << 20)
#define FRAME_STORED_MAX    FRAME_RAW_MAX /* what would grow is stored as it is */
#define FRAME_LEVEL_DEFAULT 3

enum frame_codec {
	FRAME_STORED,
	FRAME_ZSTD,
	FRAME_CODEC_COUNT_,
};

struct frame_encoder;

/* An encoder of zstd level `level` (1 to 19); the default is tuned further, see frame.c. */
struct frame_encoder *frame_encoder_new(int level) MUST_USE;
void frame_encoder_free(struct frame_encoder *enc);
SCOPED_FREE(frame_encoder);

/*
 * Append the frame for `raw` (1 to FRAME_RAW_MAX bytes) to `out`. Returns FRAME_STORED where
 * compression saves less than a 32nd.
 */
enum frame_codec frame_encode(struct buf *out, struct frame_encoder *enc, struct span raw);

/*
 * A cheap guess from a sample: true if the bytes look compressed or encrypted already, so that
 * a compressor's time would be wasted. Never true for fewer than 4,096 bytes.
 */
bool frame_is_dense(struct span raw) MUST_USE;

struct frame_decoder;

struct frame_decoder *frame_decoder_new(void) MUST_USE;
void frame_decoder_free(struct frame_decoder *dec);
SCOPED_FREE(frame_decoder);

/*
 * Decode one frame that fills all of `stored` into exactly `raw_size` bytes (at most FRAME_RAW_MAX)
 * at `dst`. ERR_FORMAT where it is no frame of that size; `dst` may then be partly written.
 * What comes out is not to be trusted before its chunks' hashes are checked.
 */
bool frame_decode(void *dst, size_t raw_size, struct frame_decoder *dec, enum frame_codec codec,
		  struct span stored, struct err *err) MUST_USE;

#endif
