#include <stdlib.h>
#include <string.h>

#include "nal/credentialfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_section(const struct credentialfile_section *s)
{
	char *text = secret_memory_new(CREDENTIALFILE_PRINT_MAX);
	SCOPED(credentialfile) struct credentialfile again = { 0 };
	struct err err;

	if (!credentialfile_parse(&again, span_of(text, credentialfile_print(text, s)), &err) ||
	    again.count != 1 || again.sections[0].kind != s->kind ||
	    !credentialfile_server_equal(&again.sections[0].server, &s->server))
		abort();
	if (s->secret != NULL && strcmp(s->secret->text, again.sections[0].secret->text) != 0)
		abort();
	secret_memory_free(text);
}

/* Each section that parses prints to one that is the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(credentialfile) struct credentialfile file = { 0 };
	struct err err;

	if (!credentialfile_parse(&file, span_of(data, size), &err))
		return 0;
	for (size_t i = 0; i < file.count; i++)
		check_section(&file.sections[i]);
	return 0;
}
