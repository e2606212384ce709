#include "common/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *never_null(void *memory)
{
	if (memory == NULL) {
		fputs("packway: out of memory\n  the system refused an allocation\n"
		      "  free some memory and try again [PW-MEMORY]\n",
		      stderr);
		abort();
	}
	return memory;
}

void *alloc_zeroed(size_t count, size_t size)
{
	return never_null(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *alloc_resize(void *old, size_t size)
{
	return never_null(realloc(old, size > 0 ? size : 1));
}

char *alloc_text(const char *text)
{
	return text != NULL ? never_null(strdup(text)) : NULL;
}

char *alloc_printf(const char *fmt, ...)
{
	va_list args;
	char *text = NULL;
	int size;

	va_start(args, fmt);
	size = vasprintf(&text, fmt, args);
	va_end(args);
	return never_null(size < 0 ? NULL : text);
}

void *alloc_copy(const void *data, size_t size)
{
	char *copy = never_null(malloc(size + 1));

	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

void alloc_text_free(char **text)
{
	free(*text);
}
