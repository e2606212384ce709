/*
 * What a distribution would do: which DP gets what, and what that costs. Changes nothing.
 */
#ifndef SITE_DPPLAN_H
#define SITE_DPPLAN_H

#include <jansson.h>

#include "site/site.h"

/*
 * {"package","dps":[{"dp","group","version","state","objects","bytes","max_rate","seconds",
 * "window","external"}],"links":[{"group","dps","bytes","seconds"}],"patches_to_make"}; the caller
 * owns it. `dps` and `dp_count` as distribute_want.
 *
 * `bytes` are those of packs, patches and indexes that were not read back on the DP yet; each byte
 * comes back once more for reading back. `seconds` at the DP's max_rate, null without one; of a
 * link, which is what a group's DPs share, that of the DP that takes longest. Patches that are
 * still to be made are counted and have no size yet.
 */
bool dpplan_make(json_t **out, struct site *site, const char *package, const char *const *dps,
		 size_t dp_count, struct err *err) MUST_USE;

#endif
