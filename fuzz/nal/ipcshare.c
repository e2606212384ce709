/* What an SMB server sends while IPC$ is connected and released: the conversation comes to an end.
 */
#include "nal/ipcshare.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(buf) struct buf out = { 0 };
	enum ipcshare_progress progress = IPCSHARE_NEXT;
	struct span rest = span_of(data, size);
	struct smbframe answer;
	struct ipcshare c;

	ipcshare_begin(&c);
	while (progress != IPCSHARE_OVER) {
		if (progress == IPCSHARE_NEXT) {
			buf_clear(&out);
			ipcshare_request(&out, &c, "127.0.0.1");
		}
		if (smbframe_take(&answer, &rest) != SMBFRAME_WHOLE)
			return 0;
		progress = ipcshare_answer(&c, &answer);
	}
	if (c.was_connected != (c.class == NAL_CLASS_OK) && c.status != 0)
		abort();
	return 0;
}
