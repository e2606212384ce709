/*
 * Intake: sweep every inbox once, store what verifies, give receipts.
 *
 *     list → take turns by client → read and verify a batch → one transaction (FULL sync) →
 *     delete the batch's objects → … → receipts
 *
 * An object is deleted only after the transaction that holds its records was synced to disk; one
 * that comes twice is stored once. So a kill at any point loses and doubles nothing. An inbox is a
 * folder that anybody may write to: no object is believed, none stops the others, and what is
 * refused goes to the quarantine with its reason.
 *
 * Nor does a flood stop others: clients take turns, and a sweep takes so much from one and no more;
 * what was seen before and waits comes behind what is new, and where very much waits, halves are
 * refused rather than waited for. Every name is looked at, which takes some microseconds each.
 */
#ifndef SITE_INTAKE_H
#define SITE_INTAKE_H

#include "site/ingest.h"
#include "site/site.h"

#define INTAKE_LIST_MAX      20000 /* objects of one inbox that one sweep looks at */
#define INTAKE_ENROL_MAX     2000  /* enrolments of them, more */
#define INTAKE_OUTSIDERS_MAX 500   /* of clients that the site does not know, more */
#define INTAKE_WAITING_MAX   2000  /* that are not whole, or wait for an admin or tomorrow, more */
#define INTAKE_FOREIGN_MAX   500   /* that are no uploads at all, more */
#define INTAKE_PER_CLIENT_MAX \
	64 /* objects of one client in one sweep: as many as an outbox seals */
#define INTAKE_PER_CLIENT_BYTES ((size_t)8 << 20)  /* likewise */
#define INTAKE_WAITING_BYTES    ((size_t)64 << 20) /* of those that wait, read again in one sweep */
#define INTAKE_NOTED_MAX        20000              /* objects of one inbox that may wait */
#define INTAKE_BATCH_OBJECTS    256                /* in one transaction, at most */
#define INTAKE_BATCH_BYTES      ((size_t)4 << 20)
#define INTAKE_PATIENCE_S       86400 /* for the rest of half an object, or an admin's word */
#define INTAKE_PATIENCE_SHORT_S \
	900 /* the same in an inbox that is so full that the listing was cut */

struct intake_result {
	struct ingest_counts counts;
	size_t incomplete;      /* wait for their rest */
	size_t waiting;         /* of clients that are not approved yet, or over their quota */
	size_t refused;         /* into the quarantine */
	size_t receipts;        /* shards written */
	size_t caps_failed;     /* inboxes that could not be read, or CAPs that got no receipts */
	char why[ERR_TEXT_MAX]; /* the first of those failures: "cap1: …" */
	bool is_more;           /* quotas left something for the next sweep */
};

/*
 * Sweep once; takes the lock `intake`. A CAP that cannot be reached is counted, not a fault: the
 * others are done, and the next run tries again. A fault is one of this machine; what was not
 * stored by then stays in its inbox.
 */
bool intake_run(struct intake_result *out, struct site *site, struct err *err) MUST_USE;

#endif
