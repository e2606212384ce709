/*
 * What was found out about the presence of servers, for a short while, and how often one may ask.
 * Probes that are sent to every server at each change are a storm of their own (Q240158).
 *
 *     presence_known, else presence_may_ask → ask → presence_learned
 *
 * Servers are told apart by host and port.
 *
 * PURE: time comes in as `now_ms`.
 */
#ifndef NAL_PRESENCE_H
#define NAL_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/locator.h"
#include "nal/probe.h"

#define PRESENCE_TTL_MS      30000 /* a server that was there is taken to be there */
#define PRESENCE_AGAIN_MS    1000  /* between two probes of one server */
#define PRESENCE_PER_MINUTE  60    /* probes of all servers together */
#define PRESENCE_SERVERS_MAX 256   /* remembered; the one asked longest ago goes first */

struct presence;

struct presence *presence_new(void) MUST_USE;
void presence_free(struct presence *p);
SCOPED_FREE(presence);

/* True if the server was present within PRESENCE_TTL_MS; `out` is then what was found. Absence is
 * not kept: whoever has connected since knows better. */
bool presence_known(struct probe *out, const struct presence *p, const struct locator *where,
		    uint64_t now_ms) MUST_USE;

/* True if the server may be asked now. False: use what presence_last says. */
bool presence_may_ask(const struct presence *p, const struct locator *where, uint64_t now_ms)
	MUST_USE;

/* What was found the last time, however long ago; false: it was never asked. */
bool presence_last(struct probe *out, const struct presence *p, const struct locator *where)
	MUST_USE;

/* It was asked, and this was found. */
void presence_learned(struct presence *p, const struct locator *where, const struct probe *found,
		      uint64_t now_ms);

#endif
