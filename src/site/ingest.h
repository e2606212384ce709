/*
 * Opened envelopes into the database: enrolments, new keys, status messages, inventory.
 *
 * Every function works inside the caller's transaction. A number that is there already is not
 * stored again. The same number with other content is a fork: the first content stays, the stream
 * takes nothing more, and its receipt tells whoever still writes to it to send what is not covered
 * in a new stream, where what the site has already is known by its own id. That is why a forked
 * stream must not grow: each of the two would take the other's records for its own.
 */
#ifndef SITE_INGEST_H
#define SITE_INGEST_H

#include "site/site.h"
#include "trust/envelope.h"

#define INGEST_DAY_BYTES_MAX ((int64_t)128 << 20) /* of one client and day */
#define INGEST_PENDING_MAX   10000                /* clients that wait for an admin */

enum ingest_result {
	INGEST_STORED,     /* whatever was new is in the transaction */
	INGEST_PENDING,    /* an admin has not approved the client yet: look again later */
	INGEST_OVER_QUOTA, /* the client sent too much today: look again tomorrow */
	INGEST_REMOVED,    /* the client was removed: drop it */
	INGEST_CROWDED,    /* too many clients wait for an admin: drop it, it is sent again */
	INGEST_GIVEN_UP,   /* by a key that the client gave up: drop it */
	INGEST_RESULT_COUNT_,
};

/* "stored", "pending", "over-quota", "removed", "crowded", "given-up-key": reasons in the
 * quarantine and alerts. */
const char *ingest_result_name(enum ingest_result result);

struct ingest_counts {
	size_t envelopes;
	size_t records; /* stored now */
	size_t duplicates;
	size_t malformed; /* numbers that were stored with the reason why their content was not */
	size_t forks;     /* streams that were found to be forked */
	size_t enrolled;
	size_t pending;
};

/* Store what is new in it; `size` is that of the object, for the quota. */
bool ingest_envelope(enum ingest_result *out, struct ingest_counts *counts, struct site *site,
		     const struct envelope *envelope, size_t size, struct err *err) MUST_USE;

/* Note something for `status`; old alerts give way. `client` may be NULL. */
bool ingest_alert(struct site *site, const char *client, const char *text, struct err *err)
	MUST_USE;

#endif
