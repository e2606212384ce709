#include "common/jsondoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = NULL;
	struct err err;

	if (jsondoc_read(&doc, span_of(data, size), &err)) {
		(void)jsondoc_canonical(&text, doc, &err);
		jsondoc_write(&text, doc);
	}
	return 0;
}
