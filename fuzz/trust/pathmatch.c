#include "trust/pathmatch.h"

#include <string.h>

#include "common/alloc.h"
#include "common/span.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A pattern and a path, one line each. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_TEXT char *pattern = alloc_copy(data, size);
	char *path = strchr(pattern, '\n');

	if (path == NULL || !text_is_utf8(span_of(data, size)))
		return 0;
	*path++ = '\0';
	pathmatch_glob(pattern, path);
	return 0;
}
