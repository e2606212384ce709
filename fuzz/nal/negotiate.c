/* What an SMB server sends: messages one after the other, each also taken for a NEGOTIATE answer.
 */
#include "nal/negotiate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The request is a whole message, whatever is random in it. */
static void ask(const uint8_t *data, size_t size)
{
	struct negotiate_random random = { .guid = { 0 } };
	SCOPED(buf) struct buf out = { 0 };
	struct smbframe frame;
	struct span rest;

	memcpy(&random, data, MIN_OF(size, sizeof(random)));
	negotiate_request(&out, &random);
	rest = buf_span(&out);
	if (smbframe_take(&frame, &rest) != SMBFRAME_WHOLE || rest.size != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct smbframe answer;
	struct negotiate read;

	if (size > 0)
		ask(data, size);
	while (smbframe_take(&answer, &rest) == SMBFRAME_WHOLE) {
		if (rest.size > size || answer.body.size > SMBFRAME_MAX)
			abort();
		if (negotiate_parse(&read, &answer) && read.status == 0 && read.dialect == 0)
			abort();
	}
	return 0;
}
