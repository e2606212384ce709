/*
 * The site's root file as those who decide go by it: STATE/trust, which belongs to the owner of the
 * state, and not to the worker's account.
 *
 * The worker follows new roots from servers, and keeps each that it accepts in STATE/metadata/roots
 * (anchor_store). Whoever evaluates policy follows that chain from the newest root in STATE/trust,
 * each verified by the one before, and puts what is new there, if this process may. So whoever has
 * taken over a worker can hold back a new root, but puts none in its place.
 */
#ifndef AGENT_ANCHOR_H
#define AGENT_ANCHOR_H

#include <stdbool.h>

#include "agent/state.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/updater.h"

/*
 * The newest root, in `out`, which is emptied before. A state of before there was STATE/trust takes
 * over the worker's root, once. False without any root that can be used.
 */
bool anchor_read(struct buf *out, const struct state *st) MUST_USE;

/* True if these bytes are a root that stands in STATE/trust: the newest, or one before. */
bool anchor_has(const struct state *st, struct span root);

/*
 * Begin with this root, which came by a trusted way and was verified by its own keys; what stood in
 * STATE/trust goes. ERR_IO and the like if it cannot be kept.
 */
bool anchor_begin(const struct state *st, struct span root, struct err *err) MUST_USE;

/*
 * Make the worker's root the newest one again if it is another: its disk has lost it, or a link of
 * the chain, which then is fetched again from there. For the worker, before a refresh.
 */
bool anchor_mend(const struct state *st, struct err *err) MUST_USE;

/* STATE/metadata as a worker's store: localmeta_store, which keeps each root as well. */
struct updater_store anchor_store(const char *metadata);

#endif
