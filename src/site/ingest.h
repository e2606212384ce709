/*
 * Opened envelopes into the database: enrolments, status messages, inventory.
 *
 * Every function works inside the caller's transaction. A number that is there already is not
 * stored again; the same number with other content is a fork: the client is told by its receipt.
 */
#ifndef SITE_INGEST_H
#define SITE_INGEST_H

#include "site/site.h"
#include "trust/envelope.h"

enum ingest_result {
	INGEST_STORED,  /* whatever was new is in the transaction */
	INGEST_PENDING, /* an admin has not approved the client yet: look again later */
	INGEST_REMOVED, /* the client was removed: drop it */
};

struct ingest_counts {
	size_t envelopes;
	size_t records; /* stored now */
	size_t duplicates;
	size_t enrolled;
	size_t pending;
};

bool ingest_envelope(enum ingest_result *out, struct ingest_counts *counts, struct site *site,
		     const struct envelope *envelope, struct err *err) MUST_USE;

/* Note something for `status`; old alerts give way. `client` may be NULL. */
bool ingest_alert(struct site *site, const char *client, const char *text, struct err *err)
	MUST_USE;

#endif
