#include "common/command.h"
#include "common/alloc.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_TEXT char *text = alloc_copy(data, size);
	SCOPED_TEXT char *file = NULL;
	SCOPED(command) struct command c;
	struct err err;

	if (!command_split(&c, text, &err))
		return 0;
	command_place(&c, "/content");
	if (!command_file(&file, &c, "/content", &err))
		return 0;
	/* Whatever the words are, a relative program stays beneath the content. */
	if (file[0] != '/')
		abort();
	return 0;
}
