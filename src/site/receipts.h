/*
 * Receipts: what the site has of each client, signed, on every CAP.
 */
#ifndef SITE_RECEIPTS_H
#define SITE_RECEIPTS_H

#include "site/site.h"

/*
 * Write the receipt shards that something changed in, and put them on every CAP. A CAP that cannot
 * be reached gets all of them with its next publish; `failed_out` counts those. Restartable at any
 * point: a shard's serial grows before its file is written.
 */
bool receipts_publish(size_t *failed_out, struct site *site, struct err *err) MUST_USE;

#endif
