/*
 * What one client would choose now, if this or that were so: its own choice function, asked here in
 * its place (site/standin.h).
 *
 * Of a client that exists the site knows its addresses by its inventory, and by the choices it told
 * of (status message 11002) which shares were mounted, who served, who failed, and since when it
 * waits. Everything else is named as not known.
 */
#ifndef SITE_WHATIF_H
#define SITE_WHATIF_H

#include "site/standin.h"

#define WHATIF_DECISIONS_MAX 200               /* of a client that are looked at, the newest */
#define WHATIF_DECISIONS_S   (7 * 24 * 3600LL) /* and none older than that */

/*
 * The decision as the client's `locate --json` would print it, with these members besides: `client`
 * or `address`, `addresses`, `without` and `notes` (sentences: what is assumed and what is not
 * known). The caller owns it. ERR_NOT_FOUND: no such client; ERR_USAGE: no address.
 */
bool whatif_client(json_t **out, const struct standin *s, struct site *site, const char *typed,
		   uint64_t seed, struct err *err) MUST_USE;
bool whatif_address(json_t **out, const struct standin *s, const char *address, uint64_t seed,
		    struct err *err) MUST_USE;

#endif
