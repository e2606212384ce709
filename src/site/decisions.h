/*
 * Why clients read from where they read: the decision records that came with their status messages
 * (docs/formats/decision.md), found again by client, package and time.
 */
#ifndef SITE_DECISIONS_H
#define SITE_DECISIONS_H

#include "site/site.h"

struct decisions_question {
	const char *client;  /* an id or a unique name, as it was typed */
	const char *package; /* an id; NULL: any */
	int64_t at_s;        /* the newest that was made by then, by the client's clock */
};

/*
 * The decision in force at that time, as the client wrote it; the caller owns it. ERR_USAGE for
 * what is no package's id, ERR_NOT_FOUND for a client that does not exist or has told of no such
 * choice; the fault says which, and what is on record.
 */
bool decisions_find(json_t **out, struct site *site, const struct decisions_question *q,
		    struct err *err) MUST_USE;

#endif
