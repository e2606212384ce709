#include "policy/docs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses is written and must parse again to the same bytes: one document, one encoding. */
#define TRY(kind)                                                          \
	do {                                                               \
		SCOPED(buf) struct buf once = { 0 };                       \
		SCOPED(buf) struct buf twice = { 0 };                      \
		struct docs_##kind doc, again;                             \
		struct err err;                                            \
		if (!docs_##kind##_parse(&doc, span_of(data, size), &err)) \
			break;                                             \
		docs_##kind##_write(&once, &doc);                          \
		docs_##kind##_release(&doc);                               \
		if (!docs_##kind##_parse(&again, buf_span(&once), &err))   \
			__builtin_trap();                                  \
		docs_##kind##_write(&twice, &again);                       \
		docs_##kind##_release(&again);                             \
		if (!span_equal(buf_span(&once), buf_span(&twice)))        \
			__builtin_trap();                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TRY(site);
	TRY(group);
	TRY(package);
	TRY(location);
	TRY(advertisements);
	TRY(collections);
	return 0;
}
