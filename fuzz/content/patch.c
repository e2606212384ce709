#include "content/patchreader.h"

#include <stdlib.h>
#include <string.h>

#include "common/digest.h"

#define OLD_SIZE   4096u
#define NEW_MAX    (1u << 20)
#define PIECE_SIZE 1000u

static bool give_old(void *dst, uint64_t offset, size_t size, void *ctx, struct err *err)
{
	(void)ctx, (void)err;
	if (offset > OLD_SIZE || size > OLD_SIZE - offset)
		abort();
	for (size_t i = 0; i < size; i++)
		((uint8_t *)dst)[i] = (uint8_t)((offset + i) * 7);
	return true;
}

static void expect_old(uint64_t offset, uint64_t size, void *ctx)
{
	(void)ctx;
	if (offset > OLD_SIZE || size > OLD_SIZE - offset)
		abort();
}

static bool take_new(struct span bytes, void *ctx, struct err *err)
{
	uint64_t *left = ctx;

	(void)err;
	if (bytes.size > *left)
		abort();
	*left -= bytes.size;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first three bytes say how large the new stream should be, the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	uint8_t high;
	uint16_t low;
	uint64_t left;
	struct patchreader *r;
	struct err err;
	bool fine = true;

	if (!span_take_u8(&rest, &high) || !span_take_u16(&rest, &low))
		return 0;
	left = MIN_OF((uint32_t)high << 16 | low, NEW_MAX);
	r = patchreader_new(&(const struct patchreader_target){
		.old_size = OLD_SIZE,
		.new_size = left,
		.old = give_old,
		.soon = expect_old,
		.sink = take_new,
		.ctx = &left,
	});
	while (fine && rest.size > 0) {
		size_t n = MIN_OF(rest.size, PIECE_SIZE);

		fine = patchreader_feed(r, span_of(rest.data, n), &err);
		rest = span_skip(rest, n);
	}
	if (fine && patchreader_finish(r, &err) && left != 0)
		abort();
	patchreader_free(r);
	return 0;
}
