#include <stdlib.h>

#include "nal/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be used and, written, is read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(memory) struct memory *m = NULL, *again = NULL;
	SCOPED(buf) struct buf text = { 0 };
	struct err err;

	if (!memory_read(&m, span_of(data, size), &err))
		return 0;
	memory_write(&text, m);
	if (!memory_read(&again, buf_span(&text), &err))
		abort();
	memory_tick(m, &(struct memory_now){ 1795000000, 1000, "b" });
	memory_record(m, &(struct memory_event){
				 .server = "dp1", .object = "x", .what = NAL_CLASS_TIMEOUT });
	memory_transfer(m, "dp1", "net", 1000000, 10);
	(void)memory_facts(m, "dp1", "x", KIND_DP, "net", "c");
	return 0;
}
