#include "common/jsondoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = NULL;
	struct err err;

	if (jsondoc_read(&doc, span_of(data, size), &err)) {
		jsondoc_write(&text, doc);
		if (!jsondoc_canonical(&text, doc, &err))
			return 0; /* a number that is no integer */
	}
	return 0;
}
