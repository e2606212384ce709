#include "content/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first five bytes say what an index would: codec and decoded size; the rest is the frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(frame_decoder) struct frame_decoder *dec = frame_decoder_new();
	struct span rest = span_of(data, size);
	uint8_t codec;
	uint32_t raw_size;
	uint8_t *raw;
	struct err err;

	if (!span_take_u8(&rest, &codec) || !span_take_u32(&rest, &raw_size))
		return 0;
	raw = malloc(raw_size < FRAME_RAW_MAX ? raw_size + 1 : FRAME_RAW_MAX);
	if (raw != NULL && frame_decode(raw, raw_size, dec, (enum frame_codec)codec, rest, &err))
		(void)!frame_is_dense(span_of(raw, raw_size));
	free(raw);
	return 0;
}
