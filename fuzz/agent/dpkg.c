#include "agent/dpkg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct dpkg_package package;

	while (dpkg_next(&rest, &package))
		;
	return 0;
}
