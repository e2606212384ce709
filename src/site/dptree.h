/*
 * Plain copies of versions on DPs, for tools that know nothing of packs:
 * "<package>/tree/<version>/…". Clients never read them. Each file is read back and hashed. Links
 * are left out, and modes are those of every object on a DP: what holds them all is the packs.
 *
 * A copy is whole when dp status says so. It leaves with its version, the keeping time later.
 */
#ifndef SITE_DPTREE_H
#define SITE_DPTREE_H

#include "site/outlet.h"

struct dptree_options {
	const char *package; /* NULL: all */
	bool ignores_backoff;
	int64_t keep_s;
	bool (*may_go)(
		void *ctx); /* asked before each file: false ends it, to go on another time */
	void *ctx;
};

/* Whether there is something to copy or to remove. */
bool dptree_is_due(bool *out, struct site *site, int64_t dp, const struct dptree_options *options,
		   struct err *err) MUST_USE;

/*
 * Copy and remove what is due through an open outlet. `failed_out` counts the versions that could
 * not be copied; why stands in the database.
 */
bool dptree_run(unsigned int *failed_out, struct outlet *o, const struct dptree_options *options,
		struct err *err) MUST_USE;

#endif
