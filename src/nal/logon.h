/*
 * Which credential to try at a place, given what was refused before.
 *
 * A server that refuses an account or ticket is not asked again with it, over restarts too, until
 * the credential changes: a fleet that tries on locks the account out (Q227033, Q293662). A ticket
 * that is merely there, and that nobody configured for the place, gives way to guest. A refused
 * guest is kept back by the server's own back-off alone.
 *
 * What was refused lives in the memory under "credential FINGERPRINT".
 */
#ifndef NAL_LOGON_H
#define NAL_LOGON_H

#include "common/macros.h"
#include "nal/class.h"
#include "nal/credential.h"
#include "nal/memory.h"

enum logon {
	LOGON_NOT_NEEDED, /* the place takes none */
	LOGON_READY,
	LOGON_REFUSED, /* `out` says what was refused; not to be tried */
};

/* `set` may be NULL. `out` borrows from the set. */
enum logon logon_find(struct credential *out, const struct credential_set *set,
		      const struct memory *memory, const struct locator *where,
		      const struct credential_context *context) MUST_USE;

/* A server refused the credential of that fingerprint; "" is a guest's, of which nothing is noted.
 * Needs a memory_tick before. */
void logon_refused(struct memory *m, const char *fingerprint);

/* True if a credential with this fingerprint was refused. */
bool logon_was_refused(const struct memory *m, const char *fingerprint);

#endif
