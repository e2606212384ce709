/*
 * Renew the client's policy from one server: metadata by the TUF workflow, then every document that
 * this client needs, then the switch of both in one step.
 *
 * Two sets of metadata stand in the state folder. STATE/metadata has the newest that was verified:
 * new roots, and what protects against rollback, are stored there at once, whatever becomes of the
 * documents. The generation in force (agent/generation.h) is what the client acts by: metadata and
 * documents of one publication. It stays in force, unchanged, until a newer one is whole.
 *
 *     renewal_run, for one server after the other until one serves what verifies
 *
 * The caller holds the lock `metadata`. Knows nothing of networks: a source fetches.
 */
#ifndef AGENT_RENEWAL_H
#define AGENT_RENEWAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/state.h"
#include "common/error.h"
#include "common/macros.h"
#include "trust/updater.h"
#include "trust/verdict.h"

enum renewal_how {
	RENEWAL_POLL, /* ask for the timestamp only, if all that is stored is whole and in life */
	RENEWAL_FULL, /* the whole workflow */
};

struct renewal {
	const struct state *state;
	const struct updater_source *source;
	int64_t now_s;
	enum renewal_how how;
	const json_t *targets; /* array of paths that are wanted besides; may be NULL */
};

struct renewal_outcome {
	bool changed;  /* there is more in force than before, or something else */
	bool ran_full; /* the whole workflow was gone through to its end */
	int64_t root;  /* newest version that was verified; 0: none */
};

/*
 * VERDICT_OK: what the server has is in force, and the targets that were asked for are here (or
 * are listed no more). Anything else: what was in force is in force still, and err says which file
 * of which version was refused or could not be stored.
 */
enum verdict renewal_run(struct renewal_outcome *out, const struct renewal *r, struct err *err)
	MUST_USE;

/* True if the newest metadata that was verified is in force: a server's "not modified" is enough.
 */
bool renewal_is_complete(const struct state *st);

#endif
