#include "content/index.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be written, and every chunk it lists is found and lies in its frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct index_object object;
	struct err err;

	if (!index_read(&idx, span_of(data, size), &err))
		return 0;
	for (uint32_t i = 0; i < index_chunk_count(idx); i++) {
		const struct index_chunk *chunk = index_chunk_at(idx, i);

		if (index_find(idx, &chunk->id) == NULL ||
		    chunk->offset + chunk->size > index_frame_at(idx, chunk->frame)->raw_size)
			abort();
	}
	for (struct index_object_iter it = index_objects(idx, 1, span_of(data, size));
	     index_object_next(&it, &object);)
		;
	if (!index_write(&bytes, idx, &err))
		abort();
	return 0;
}
