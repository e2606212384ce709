#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "nal/nalpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses prints back byte for byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_TEXT char *text = alloc_copy(data, size);
	SCOPED(nalpath) struct nalpath path = { 0 };
	SCOPED(locator) struct locator where = { 0 };
	SCOPED(buf) struct buf printed = { 0 };
	struct err err;

	if (!nalpath_parse(&path, text, &err))
		return 0;
	nalpath_print(&printed, &path);
	if (strcmp(buf_text(&printed), text) != 0)
		abort();
	(void)nalpath_find(&path.machine_qualifiers, "sms_site");
	if (nalpath_locator(&where, &path, &err) && where.path[0] != '/')
		abort();
	return 0;
}
