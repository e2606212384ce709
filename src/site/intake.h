/*
 * Intake: sweep every inbox once, store what verifies, give receipts.
 *
 * An object is deleted only after the transaction that holds its records was synced to disk; one
 * that comes twice is stored once. So a kill at any point loses and doubles nothing.
 */
#ifndef SITE_INTAKE_H
#define SITE_INTAKE_H

#include "site/ingest.h"
#include "site/site.h"

#define INTAKE_LIST_MAX         20000 /* objects of one inbox that one sweep looks at */
#define INTAKE_PER_CLIENT_MAX   64    /* objects of one client in one sweep */
#define INTAKE_BATCH_RECORDS    4000  /* in one transaction, about */
#define INTAKE_INCOMPLETE_S     86400 /* how long half an object may wait for its rest */
#define INTAKE_QUARANTINE_FILES 256   /* refused objects that are kept */

struct intake_result {
	struct ingest_counts counts;
	size_t incomplete;  /* wait for their rest */
	size_t waiting;     /* of clients that are not approved yet */
	size_t refused;     /* into the quarantine */
	size_t caps_failed; /* inboxes that could not be read, or CAPs that got no receipts */
	bool is_more;       /* quotas left something for the next sweep */
};

/* Sweep once; takes the lock `intake`. An inbox that cannot be read is counted, not a fault. */
bool intake_run(struct intake_result *out, struct site *site, struct err *err) MUST_USE;

#endif
