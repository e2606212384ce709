/*
 * Where clients are, as their inventory tells: the addresses of each enrolled client.
 */
#ifndef SITE_WHEREABOUTS_H
#define SITE_WHEREABOUTS_H

#include "common/netaddr.h"
#include "site/site.h"

#define WHEREABOUTS_ADDRESSES_MAX 64 /* as many as a client looks at itself */

struct whereabouts {
	char client[33];
	char name[257];
	struct netaddr addresses[WHEREABOUTS_ADDRESSES_MAX]; /* in the client's own order */
	size_t address_count;                                /* 0: it has told none yet */
};

/* Call `fn` for each enrolled client, by id; `where` lasts for the call. */
typedef void whereabouts_fn(const struct whereabouts *where, void *ctx);
bool whereabouts_each(struct site *site, whereabouts_fn *fn, void *ctx, struct err *err) MUST_USE;

/* Those of one client; its name is left empty. */
bool whereabouts_of(struct whereabouts *out, struct site *site, const char *client, struct err *err)
	MUST_USE;

#endif
