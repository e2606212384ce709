/*
 * The one sentence of a decision: why this server, in words for people.
 *
 *     nas12 was read: it is in this machine's group and its share is mounted at /srv/nas; next
 *     would have been dp1; 21.4 kB came as a patch in 2 requests, where ranges were 1.2 MB in 5.
 *
 * PURE.
 */
#ifndef NAL_BECAUSE_H
#define NAL_BECAUSE_H

#include "common/macros.h"
#include "nal/decision.h"

/* The sentence for the record as it stands; the caller frees it. */
char *because_sentence(const struct decision *d) MUST_USE;

/*
 * When an empty choice may change: "neighbours open in 84 min", "the next try is in 40 s". The
 * caller frees it; NULL where it does not wait.
 */
char *because_wait(const struct decision *d, int64_t now_s) MUST_USE;

#endif
