/*
 * Patches and first-install streams of the latest version of each distributed package: made in a
 * process of their own, low in priority, one after another; then an index that lists them is
 * brought to the DPs beside what they hold, and becomes the version's when they have it. Patches
 * start from the site's `patch_versions` before the latest, as far as the library has them.
 *
 * A version is distributable before its patches are ready. What was tried is remembered with what
 * came of it (`package_delta`), so that each is tried once.
 */
#ifndef SITE_DELTAS_H
#define SITE_DELTAS_H

#include "site/site.h"

#define DELTAS_RETRY_S  3600 /* after a fault, such as a full disk */
#define DELTAS_SWITCH_S 3600 /* a DP that does not get an index holds the others up for so long */

struct deltas_options {
	const char *package;   /* NULL: all */
	uint64_t memory_max;   /* bytes, of one making; 0: DELTAMAKE_MEMORY_DEFAULT */
	uint32_t cpu_percent;  /* of one processor, as deltamake.h; 0: all that they get */
	uint32_t lock_wait_ms; /* for another run to end */
	void (*told)(const char *text, void *ctx); /* what is being made; NULL: nobody asks */
	void *ctx;
};

/*
 * Make what is missing. What cannot be made is logged, and is no fault: content goes without.
 * ERR_LOCKED: another run is at it.
 */
bool deltas_run(struct site *site, const struct deltas_options *options, struct err *err) MUST_USE;

/* Let indexes take over whose objects the DPs hold by now. */
bool deltas_switch(struct site *site, struct err *err) MUST_USE;

#endif
