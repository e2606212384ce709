/*
 * Where a client keeps its accounts for servers: STATE/credentials.d, and for root
 * /etc/packway/credentials.d behind it, as with packway.conf.
 */
#ifndef AGENT_LOGONS_H
#define AGENT_LOGONS_H

#include "agent/state.h"
#include "common/macros.h"
#include "nal/credential.h"
#include "nal/memory.h"

/* All that is configured; the caller frees it. */
struct credential_set *logons_load(const struct state *st) MUST_USE;

/* What servers refused, as of now, for lists; NULL: nothing is known. The caller frees it. */
struct memory *logons_memory(const struct state *st) MUST_USE;

/* Where `credential set` writes: the machine's folder for root's default state, else the state's
 * own. The caller frees it. */
char *logons_folder(const struct state *st) MUST_USE;

#endif
