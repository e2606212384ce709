#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "nal/mountmatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct mounts_entry *entry)
{
	SCOPED(locator) struct locator where = { 0 };

	if (mountmatch_source(&where, entry) && where.path[0] != '/')
		abort();
}

/* Whoever mounts chooses the source. Lines: type, source, root; the source is tried as GVFS's too.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_TEXT char *text = alloc_copy(data, size);
	SCOPED_TEXT char *gvfs = NULL;
	char *rest = NULL;
	struct mounts_entry entry = { 0 };
	char whole[] = "/";

	entry.fstype = strtok_r(text, "\n", &rest);
	if (entry.fstype == NULL)
		return 0;
	entry.source = strtok_r(NULL, "\n", &rest);
	entry.root = strtok_r(NULL, "\n", &rest);
	if (entry.source == NULL)
		return 0;
	if (entry.root == NULL || entry.root[0] != '/')
		entry.root = whole;
	check_place(&entry);
	gvfs = mountmatch_gvfs_source(entry.source);
	if (gvfs == NULL)
		return 0;
	entry.source = gvfs;
	entry.root = whole;
	check_place(&entry);
	return 0;
}
