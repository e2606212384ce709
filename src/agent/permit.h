/*
 * Who may ask the agent for what. Root and the state's owner may everything; others get what an
 * advertisement offers to a Unix group that they are in (advertise --offer-to), and may look.
 */
#ifndef AGENT_PERMIT_H
#define AGENT_PERMIT_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/state.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

/* Neither root nor the owner of this process's state. */
bool permit_is_guest(uid_t caller);

/* ERR_PERMISSION says what the caller lacks. May ask the account database. */
bool permit_request(const struct state *st, uid_t caller, const json_t *request, struct err *err)
	MUST_USE;

/*
 * True if the caller may have an assignment run or fetched (`offer_to` is its group's name; NULL:
 * none): root and the owner may all.
 */
bool permit_offers(uid_t caller, const char *offer_to);

#endif
