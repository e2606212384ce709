/*
 * A library that is loaded when its functions are first wanted. Linking one takes all its libraries
 * with it: those of libcurl or libmount take longer than many a command (bench/README.md).
 *
 * The functions go into a table of pointers that the caller has: a struct with a member for each,
 * described by rows of its name and place. A library stays until the process ends.
 */
#ifndef COMMON_LATELIB_H
#define COMMON_LATELIB_H

#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"

struct latelib_call {
	const char *name;
	size_t offset; /* of its pointer in the table */
};

struct latelib {
	const char *file; /* "libcurl.so.4" */
	const char *what; /* what needs it, for the fault: "HTTP" */
	const struct latelib_call *calls;
	size_t count;
};

/*
 * Fill the table. Blocks for the loading, some milliseconds, where nobody has loaded it yet; any
 * number of threads may ask at once. ERR_UNSUPPORTED: it is not installed, or lacks a function.
 */
bool latelib_load(void *table, const struct latelib *lib, struct err *err) MUST_USE;

#endif
