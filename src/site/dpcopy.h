/*
 * One DP brought to what it shall hold, by one process: copying, reading back, cleaning.
 */
#ifndef SITE_DPCOPY_H
#define SITE_DPCOPY_H

#include <stdatomic.h>

#include "site/site.h"
#include "site/system.h"

/* Shared with the process that waits. */
struct dpcopy_counts {
	atomic_uint_fast64_t done_bytes;
	atomic_uint_fast64_t total_bytes;
	atomic_uint failed; /* versions that could not be brought there */
};

struct dpcopy_options {
	const char *package; /* NULL: all */
	bool ignores_backoff;
	int64_t keep_s;
	struct dpcopy_counts *counts;
};

/* Do all that is due on the DP. Failures stand in the database; a fault is one of the site itself.
 */
bool dpcopy_run(struct site *site, struct system *dp, const struct dpcopy_options *options,
		struct err *err) MUST_USE;

/* As distribute_validate. */
bool dpcopy_validate(json_t *rows, struct site *site, struct system *dp, const char *package,
		     struct err *err) MUST_USE;

#endif
