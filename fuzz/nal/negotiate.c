/* What an SMB server sends: messages one after the other, each also taken for a NEGOTIATE answer.
 */
#include "nal/negotiate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct smbframe answer;
	struct negotiate read;

	while (smbframe_take(&answer, &rest) == SMBFRAME_WHOLE) {
		if (rest.size > size || answer.body.size > SMBFRAME_MAX)
			abort();
		if (negotiate_parse(&read, &answer) && read.status == 0 && read.dialect == 0)
			abort();
	}
	return 0;
}
