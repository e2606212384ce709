#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "nal/decision.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const struct decision *d)
{
	json_auto_t *doc = decision_json(d);
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, doc);
	return buf_take(&text);
}

/* What is read and printed reads back the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(decision) struct decision *first = NULL, *second = NULL;
	SCOPED_TEXT char *once = NULL, *twice = NULL;
	json_auto_t *doc = NULL, *again = NULL;
	struct err err;

	if (!jsondoc_read(&doc, span_of(data, size), &err) || !decision_parse(&first, doc, &err))
		return 0;
	once = printed(first);
	if (!jsondoc_read(&again, span_of_text(once), &err) ||
	    !decision_parse(&second, again, &err))
		abort();
	twice = printed(second);
	if (strcmp(once, twice) != 0)
		abort();
	return 0;
}
