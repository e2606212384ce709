/*
 * Which paths a delegation covers: shell-style patterns, and prefixes of the path's hash.
 *
 * PURE.
 */
#ifndef TRUST_PATHMATCH_H
#define TRUST_PATHMATCH_H

#include <stdbool.h>

/*
 * True if `path` matches `pattern` as a whole. `*` stands for any characters but '/', `?` for one
 * character but '/', `[a-z]` and `[!a-z]` for one of a set; everything else, backslash included,
 * stands for itself. Both are UTF-8. Takes time in proportion to the product of their lengths at
 * most, whatever the pattern.
 */
bool pathmatch_glob(const char *pattern, const char *path);

#endif
