/* The first byte chooses what the rest is taken for: a range, a tag, a date, a token of ours. */
#include "nal/httpanswer.h"

#include <stdlib.h>

#include "common/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_TEXT char *text = size > 0 ? alloc_copy(data + 1, size - 1) : alloc_text("");
	char token[WAY_TOKEN_SIZE], header[WAY_TOKEN_SIZE + 32];
	struct httpanswer_range range;
	struct err err;
	uint8_t kind = size > 0 ? data[0] : 0;

	if (kind == 'r' && httpanswer_range(&range, text) && range.first > range.last)
		__builtin_trap();
	if (kind == 'e' || kind == 'd') {
		httpanswer_token(token, kind == 'e' ? text : NULL, text);
		if (token[0] != '\0' && !httpanswer_condition(header, token))
			__builtin_trap();
	}
	if (kind == 't')
		(void)!httpanswer_condition(header, text);
	if (kind == 's')
		(void)httpanswer_class(strtol(text, NULL, 10), &err);
	return 0;
}
