/*
 * A fresh folder for one test, named after it, so that leftovers accuse their owner.
 */
#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H

#include <stdlib.h>

#include "common/alloc.h"
#include "common/error.h"
#include "common/path.h"

/* Make the folder under $TMPDIR or /tmp; the caller gives it to tempdir_remove. Never NULL. */
static inline char *tempdir_make(const char *name)
{
	const char *base = getenv("TMPDIR");
	char *dir = alloc_printf("%s/packway-test-%s-XXXXXX", base != NULL ? base : "/tmp", name);

	if (mkdtemp(dir) == NULL)
		abort();
	return dir;
}

/* Remove the folder with all it holds, and free its name. */
static inline void tempdir_remove(char *dir)
{
	struct err err = { 0 };

	(void)path_remove_tree(dir, &err);
	free(dir);
}

#endif
