#include <stdlib.h>

#include "nal/preference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read and written is read again; any text may be tried as an entry's match. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(preference) struct preference p = { 0 }, again = { 0 };
	SCOPED(buf) struct buf text = { 0 };
	SCOPED(locator) struct locator where = { 0 };
	const struct locator *const addresses[] = { &where };
	struct err err;

	if (!preference_read(&p, span_of(data, size), &err))
		return 0;
	preference_write(&text, &p);
	if (!preference_read(&again, buf_span(&text), &err) ||
	    !locator_parse(&where, "smb://nas/packway/a", &err))
		abort();
	for (size_t i = 0; i < p.lists[KIND_DP].count; i++)
		(void)preference_matches(&p.lists[KIND_DP].entries[i], "dp1", addresses, 1);
	return 0;
}
