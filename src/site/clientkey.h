/*
 * The keys by which clients sign: the present one, and the one before it for what that had signed
 * when it was given up (trust/handover.h).
 */
#ifndef SITE_CLIENTKEY_H
#define SITE_CLIENTKEY_H

#include "site/site.h"
#include "trust/envelope.h"

/* The key of a client; NULL if the site knows none. The caller frees it. */
struct key *clientkey_find(struct site *site, const char *client) MUST_USE;

/*
 * The key that the client gave up, if an object with this header may be signed by it: records with
 * numbers from before the hand-over, and the hand-over itself, which may come twice. NULL: none.
 * The caller frees it.
 */
struct key *clientkey_find_former(struct site *site, const struct envelope_header *header) MUST_USE;

enum clientkey_result {
	CLIENTKEY_TAKEN,    /* the new key is the client's from here on */
	CLIENTKEY_KNOWN,    /* it is already */
	CLIENTKEY_GIVEN_UP, /* signed by a key that has been given up, for another new one */
};

/* Draw the consequence of an ENVELOPE_HANDOVER inside the caller's transaction. */
bool clientkey_hand_over(enum clientkey_result *out, struct site *site, const struct envelope *e,
			 struct err *err) MUST_USE;

#endif
