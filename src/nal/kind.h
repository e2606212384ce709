/*
 * The two kinds of site systems.
 *
 * PURE.
 */
#ifndef NAL_KIND_H
#define NAL_KIND_H

#include <stdbool.h>
#include <string.h>

#include "common/macros.h"

enum kind {
	KIND_DP,  /* distribution point: content */
	KIND_CAP, /* client access point: policy, and records where it takes them */
	KIND_COUNT_,
};

/* "dp" or "cap". */
static inline const char *kind_name(enum kind kind)
{
	return kind == KIND_CAP ? "cap" : "dp";
}

static inline bool kind_parse(enum kind *out, const char *name)
{
	*out = strcmp(name, "cap") == 0 ? KIND_CAP : KIND_DP;
	return strcmp(name, kind_name(*out)) == 0;
}

#endif
