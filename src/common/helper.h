/*
 * Where the helper programs are: beside the executable that asks (a build tree), else in the
 * libexec folder that was set at build time. Never through the environment or PATH.
 */
#ifndef COMMON_HELPER_H
#define COMMON_HELPER_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"

/*
 * The path of the helper `name` ("packway-worker"); the caller frees it. ERR_NOT_FOUND says where
 * it was looked for.
 */
bool helper_find(char **path_out, const char *name, struct err *err) MUST_USE;

#endif
