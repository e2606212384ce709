/*
 * Choice policies as data: a name, a list of rank terms and a few properties. Ranking walks the
 * list; a new policy is a new row.
 *
 * PURE.
 */
#ifndef NAL_TERMS_H
#define NAL_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

#define TERMS_MAX 5

enum terms_term {
	TERMS_SESSION, /* an open connection */
	TERMS_MOUNT,   /* an OS mount */
	TERMS_STICKY,  /* the last success */
	TERMS_GOODPUT, /* what real transfers measured, in bands */
	TERMS_RANDOM,  /* the seeded draw */
	TERMS_COUNT_,
};

struct terms_policy {
	const char *name;
	const char *summary;              /* one line for people */
	enum terms_term terms[TERMS_MAX]; /* most important first; the last is always the draw */
	size_t count;
	bool one_tier;       /* boundary groups and preferences are not looked at; fences are */
	bool only_preferred; /* no tier but 0 */
	bool ladder_first;   /* the presence ladder runs before connecting */
	bool ignores_mounts; /* a mount is no visible resource at all */
	uint32_t slow_ratio; /* an open way loses to one measured faster by this; 0: never */
};

/* The policy that applies where nothing else is said. */
const struct terms_policy *terms_default(void);

/* The policy of a name, or NULL. */
const struct terms_policy *terms_find(const char *name);

/* The same where a missing policy is a fault: ERR_USAGE names those that exist. */
bool terms_need(const struct terms_policy **out, const char *name, struct err *err) MUST_USE;

/* All policies, for help texts and tests. */
const struct terms_policy *terms_all(size_t *count_out);

/* True if the policy ranks by open ways at all. */
bool terms_looks_at_ways(const struct terms_policy *policy);

#endif
