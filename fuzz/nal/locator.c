#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "nal/locator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Line 1 is a locator, line 2 a relative path or a second locator. The normal form is a fixed
 * point. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED_TEXT char *text = alloc_copy(data, size);
	SCOPED_TEXT char *url = NULL, *joined = NULL, *again = NULL;
	SCOPED(locator) struct locator first = { 0 }, second = { 0 }, normal = { 0 }, copy = { 0 };
	char *rest = strchr(text, '\n');
	struct err err;

	if (rest != NULL)
		*rest++ = '\0';
	if (!locator_parse_argument(&first, text, &err))
		return 0;
	locator_copy(&copy, &first);
	url = locator_url(&copy);
	if (strlen(url) <= LOCATOR_TEXT_MAX) {
		if (!locator_parse(&normal, url, &err) || !locator_equal(&first, &normal))
			abort();
		again = locator_url(&normal);
		if (strcmp(url, again) != 0)
			abort();
	}
	if (rest == NULL)
		return 0;
	if (locator_join(&joined, &first, rest, &err) && strlen(joined) <= LOCATOR_TEXT_MAX) {
		if (!locator_parse(&second, joined, &err) || !locator_covers(&first, &second))
			abort();
	} else if (locator_parse_argument(&second, rest, &err) && locator_covers(&first, &second) &&
		   !locator_equal(&first, &second) && locator_below(&first, &second)[0] != '/') {
		abort();
	}
	return 0;
}
