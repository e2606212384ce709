#include "nal/marker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(buf) struct buf text = { 0 };
	struct marker m, back;
	struct err err;

	if (!marker_parse(&m, span_of(data, size), &err))
		return 0;
	marker_write(&text, &m);
	if (!marker_parse(&back, buf_span(&text), &err) || !marker_is(&back, m.uuid))
		__builtin_trap();
	return 0;
}
