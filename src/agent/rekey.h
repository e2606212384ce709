/*
 * A new key for this client, handed over by the old one (trust/handover.h). The client's id stays.
 *
 *     rekey_run: note what the old key has signed → make the new key → until a receipt names it:
 *     seal nothing new, send the hand-over → the new key takes the old one's place
 *
 * The new key waits in STATE/client.key.next, whose being there is all that says that a hand-over
 * is under way; so a kill between any two steps leaves one that goes on. What the old key has
 * sealed is taken by the site as before, and nothing else of it.
 *
 * No cryptography: a child without network makes the key and the envelope.
 */
#ifndef AGENT_REKEY_H
#define AGENT_REKEY_H

#include "agent/job.h"
#include "agent/state.h"

/* The verb "rekey": {"client","key"}, `key` as rekey_state has it. */
job_verb_fn rekey_run;

/* True if a hand-over is under way: nothing new may be sealed. */
bool rekey_is_under_way(const struct state *st);

/*
 * How this client's key is: "own"; "handing-over"; "replaced", which means that the site was handed
 * over to a key that is not here, by a copy of this state: nothing from here is taken any more.
 */
const char *rekey_state(const struct state *st);

/* Put the hand-over that is under way on a CAP. Sent again and again until a receipt ends it. */
bool rekey_send(struct job *job, const struct state_identity *id, struct err *err) MUST_USE;

/*
 * Draw the consequence of a verified receipt: `key` is that of op_receipt_check, "own", "next" or
 * "other"; NULL is none.
 */
bool rekey_settle(struct job *job, const char *key, struct err *err) MUST_USE;

#endif
