#include <stdlib.h>

#include "nal/nalimport.h"
#include "nal/regfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be imported, and what is imported can be stored. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(regfile) struct regfile file = { 0 };
	SCOPED(nalimport) struct nalimport import = { 0 };
	SCOPED(preference) struct preference p = { 0 };
	struct err err;

	if (!regfile_read(&file, span_of(data, size), &err) ||
	    !nalimport_find(&import, &file, &err))
		return 0;
	if (!nalimport_apply(&p, &import, &err) && err.code != ERR_LIMIT)
		abort();
	return 0;
}
