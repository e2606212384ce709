/*
 * Refused uploads, kept for a person to look at: SITE/quarantine, bounded.
 */
#ifndef SITE_QUARANTINE_H
#define SITE_QUARANTINE_H

#include "common/span.h"
#include "site/site.h"

/*
 * Keep an object with the reason beside it (NAME.json). When the folder is full only the alert is
 * left. Never a fault: a refused object must not stop the intake.
 */
void quarantine_keep(struct site *site, const char *cap, const char *name, struct span bytes,
		     const char *reason);

#endif
