/*
 * Allocation that stops the program with a message when memory is gone. Sizes that come from
 * foreign input are checked against a limit before they get here.
 *
 * PURE.
 */
#ifndef COMMON_ALLOC_H
#define COMMON_ALLOC_H

#include <stddef.h>

#include "common/macros.h"

/* Zeroed memory for `count` objects of `size` bytes; the caller frees it with free(). Never NULL.
 */
void *alloc_zeroed(size_t count, size_t size) MUST_USE;

/* realloc that does not fail. `size` of 0 is taken as 1. */
void *alloc_resize(void *old, size_t size) MUST_USE;

/* A copy of `text`, or NULL for NULL; the caller frees it. */
char *alloc_text(const char *text) MUST_USE;

/* A formatted text; the caller frees it. Never NULL. */
char *alloc_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_USE;

/* A copy of `size` bytes with a NUL behind; the caller frees it. */
void *alloc_copy(const void *data, size_t size) MUST_USE;

/* Room for one more element in a growing array: NULL/0 to begin with, doubles in steps. */
#define ALLOC_GROW(array, count)                                                           \
	((void)(((count) & ((count)-1)) == 0                                               \
			? ((array) = alloc_resize((array), ((count) > 0 ? (count)*2 : 1) * \
								   sizeof(*(array))))      \
			: NULL))

/* Text that is freed at the end of its scope: SCOPED_TEXT char *name = alloc_text(...). */
void alloc_text_free(char **text);
#define SCOPED_TEXT __attribute__((cleanup(alloc_text_free)))

#endif
