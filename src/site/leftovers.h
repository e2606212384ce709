/*
 * Temporary files that killed writers left behind on CAPs and DPs and in inboxes.
 */
#ifndef SITE_LEFTOVERS_H
#define SITE_LEFTOVERS_H

#include "site/outlet.h"

#define LEFTOVERS_AGE_S 86400 /* older ones have no writer any more */

/* Remove those beneath a folder that are older than LEFTOVERS_AGE_S. What cannot be removed stays.
 */
void leftovers_remove(const char *folder, int64_t now_s);

/*
 * The same for a system that was claimed, and for the inbox that a CAP has elsewhere, at most once
 * in LEFTOVERS_AGE_S. Servers that are no folders keep whole objects only, so nothing is done.
 */
bool leftovers_sweep(struct outlet *o, struct err *err) MUST_USE;

#endif
