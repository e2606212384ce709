#include "content/frame.h"

#include <stdlib.h>

#include "content/pack.h"

/* A whole pack of these bytes, in two pieces, under the right name or with another size. */
static void check_as_pack(struct span bytes, size_t size)
{
	SCOPED(pack_check) struct pack_check check;
	struct digest digest;
	char name[PACK_NAME_MAX];
	struct err err;

	digest_of(&digest, bytes);
	pack_print_name(name, &digest);
	if (!pack_parse_name(&digest, name))
		abort();
	pack_check_init(&check, &digest, size);
	if (pack_check_feed(&check, span_of(bytes.data, bytes.size / 2), &err) &&
	    pack_check_feed(&check, span_skip(bytes, bytes.size / 2), &err) &&
	    pack_check_finish(&check, &err) != (size == bytes.size))
		abort();
}

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
	check_as_pack(rest, raw_size);
	check_as_pack(rest, rest.size);
	raw = malloc(raw_size < FRAME_RAW_MAX ? raw_size + 1 : FRAME_RAW_MAX);
	if (raw != NULL && frame_decode(raw, raw_size, dec, (enum frame_codec)codec, rest, &err))
		(void)!frame_is_dense(span_of(raw, raw_size));
	free(raw);
	return 0;
}
