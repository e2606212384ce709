#include "content/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be written, is read again as the same, and its pieces cover its stream. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(manifest) struct manifest *m = NULL;
	SCOPED(manifest) struct manifest *again = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct manifest_piece piece;
	struct digest before, after;
	uint64_t covered = 0;
	struct err err;

	if (!manifest_read(&m, span_of(data, size), &err))
		return 0;
	for (uint32_t i = 0; i < manifest_entry_count(m); i++)
		if (manifest_find(m, manifest_entry_at(m, i)->path) != manifest_entry_at(m, i))
			abort();
	for (struct manifest_piece_iter it = manifest_pieces(m, 0, manifest_stream_size(m));
	     manifest_piece_next(&it, &piece);)
		covered += piece.size;
	if (covered != manifest_stream_size(m) || !manifest_write(&bytes, m, &err) ||
	    !manifest_read(&again, buf_span(&bytes), &err))
		abort();
	manifest_identity(&before, m);
	manifest_identity(&after, again);
	if (!digest_equal(&before, &after))
		abort();
	return 0;
}
