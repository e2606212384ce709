#include "content/imprint.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is written again with the same bytes. The sum at the end is made right first. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(imprint) struct imprint *im = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	SCOPED(buf) struct buf again = { 0 };
	struct imprint_stamp now = { 0 };
	struct digest sum;
	struct err err;

	buf_put(&bytes, data, size);
	digest_of(&sum, span_of(data, size));
	buf_put(&bytes, sum.bytes, DIGEST_SIZE);
	if (!imprint_read(&im, buf_span(&bytes), &err))
		return 0;
	for (uint32_t i = 0; i < imprint_entry_count(im); i++) {
		(void)!imprint_believes(im, i, &now);
		(void)imprint_content_at(im, i);
	}
	imprint_write(&again, im);
	if (!span_equal(buf_span(&again), buf_span(&bytes)))
		abort();
	return 0;
}
