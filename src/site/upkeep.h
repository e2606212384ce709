/*
 * The library kept from growing for ever: versions that nothing names any more leave it, and packs
 * of which little is still needed are repacked.
 *
 * What leaves: a version older than the UPKEEP_VERSIONS before the latest, and than those that
 * patches start from, that no advertisement names and no DP holds, once another has followed it for
 * the keeping time; and all of a package that was removed so long ago. Its number stays taken, and
 * what clients report of it stays.
 *
 * A repacked version gets a new index, which is brought to the DPs beside what they hold and takes
 * over when they have it, as one with patches does (deltas.h). The old packs stay on DPs for the
 * keeping time, for those who still read by the old index.
 */
#ifndef SITE_UPKEEP_H
#define SITE_UPKEEP_H

#include "site/site.h"

#define UPKEEP_VERSIONS 3    /* before the latest: at least */
#define UPKEEP_EVERY_S  3600 /* under serve */

struct upkeep_options {
	const char *package; /* NULL: all */
	int64_t keep_s;
	uint32_t lock_wait_ms; /* for patches being made, and other upkeep */
};

/*
 * One package after another; what fails for one is logged and is tried at the next run.
 * ERR_LOCKED: patches are being made.
 */
bool upkeep_run(struct site *site, const struct upkeep_options *options, struct err *err) MUST_USE;

#endif
