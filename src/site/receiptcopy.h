/*
 * Receipts from the database onto one CAP, many at once.
 *
 * They are put there by one process at a time, so that none puts an older one over a newer.
 */
#ifndef SITE_RECEIPTCOPY_H
#define SITE_RECEIPTCOPY_H

#include "site/outlet.h"

/* Put all that there are onto an open CAP: one that is new, or has lost its disk. */
bool receiptcopy_all(struct outlet *o, struct err *err) MUST_USE;

/*
 * Put what `cap` lacks by the database, and note what it has got. A CAP that does not take it is no
 * fault: `*taken_out` is false, and `why` is filled. A fault is one of this machine.
 */
bool receiptcopy_owed(bool *taken_out, struct err *why, struct site *site, struct system *cap,
		      struct err *err) MUST_USE;

#endif
