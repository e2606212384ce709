/*
 * From a choice to a server that serves: the attempts in the order of the choice, each noted in
 * memory and in the decision record.
 *
 *     approach_begin → { approach_next → use the way → approach_failed | approach_served }
 *     → approach_end
 *
 * A server that is not reached at one of its addresses, or fails there, is tried at its others
 * before the next server; not so where its content was wrong. Where nobody serves, those that took
 * a connection and then kept silent are asked once more with CONNECT_PATIENCE times the time.
 *
 * Borrowed: scene, question and answer, until the end.
 */
#ifndef AGENT_APPROACH_H
#define AGENT_APPROACH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/scene.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "nal/connect.h"

struct approach;

struct approach *approach_begin(struct scene *s, const struct scene_question *q,
				const struct scene_answer *a, uint32_t version) MUST_USE;

/*
 * Reach the best candidate that is left; the way stays the approach's. False with ERR_NO_CANDIDATE:
 * none is.
 */
bool approach_next(struct way **way_out, struct approach *ap, struct err *err) MUST_USE;

/* The server and way reached last; borrowed from the answer. */
const char *approach_server(const struct approach *ap);
enum waykind approach_way(const struct approach *ap);
const char *approach_address(const struct approach *ap); /* its text */

/* True if it is a mount of the user who asks: what fails there says nothing of the server. */
bool approach_is_users(const struct approach *ap);

/* True if it is a CAP's inbox of its own, not the CAP's folder. */
bool approach_is_inbox(const struct approach *ap);

/* It failed in use. */
void approach_failed(struct approach *ap, enum nal_class what, const struct err *err);

/* It served to the end; nothing is asked of the others. */
void approach_served(struct approach *ap);

/* How the content came, for the record. */
void approach_arrived(struct approach *ap, const struct arrival *arrival);

/* The last failure, for the words of a command that found nobody; borrowed. ERR_NONE: there was
 * none. */
const struct err *approach_last_error(const struct approach *ap);

/*
 * Release everything, note what became of every attempt, keep the decision in the state (NULL: do
 * not), and return it; the caller owns it.
 */
json_t *approach_end(struct approach *ap, const struct state *st) MUST_USE;

#endif
