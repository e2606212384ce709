/*
 * The candidates of a choice: which of the site's systems it is between, with what whoever asks
 * knows of each besides policy. The client knows its open ways and what it remembers of servers;
 * the site, asking in its place, knows less and says so.
 *
 *     candidates_find → select_run → candidates_release
 */
#ifndef POLICY_CANDIDATES_H
#define POLICY_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/credential.h"
#include "nal/kind.h"
#include "nal/logon.h"
#include "nal/memory.h"
#include "nal/select.h"
#include "policy/systems.h"

#define CANDIDATES_WAYS_MAX 16 /* open ways of one system, besides one for each address */

/* What the choice is about. Texts are borrowed. */
struct candidates_question {
	enum kind kind;
	const char *const *listed; /* names of the DPs that have it; NULL: all of that kind */
	size_t listed_count;
	const char *only; /* a system's name, or an address: no other; NULL: any */
	bool writes;      /* CAPs: only those with an inbox that can be written */
};

/* What is known of a system besides policy; NULL where nothing is. */
struct candidates_knowledge {
	/* Fill in the open ways that touch its addresses, at most `room`; returns how many. */
	size_t (*find_ways)(struct select_open_way *out, size_t room,
			    const struct select_address *addresses, size_t count, void *ctx);
	struct memory_facts (*recall)(const char *name, void *ctx);
	/* Which credential to use at an address; NULL: none that could be refused. */
	enum logon (*log_on)(struct credential *out, const struct locator *where, void *ctx);
	void *ctx;
};

/* Points into the systems that it was found in. */
struct candidates {
	struct select_candidate *items;
	size_t count;
	bool *is_inbox; /* of each, with question.writes: an inbox that stands by itself */
	struct select_address *addresses;
	struct credential *credentials; /* of each address; zeroed where none is used */
	struct select_open_way *ways;
	struct locator *locators; /* of inboxes, and of an address given as `only` */
	size_t locator_count;
	size_t address_count;
	size_t way_count;
};

/* ERR_NOT_FOUND: `only` names no such system; ERR_FORMAT: nor is it an address. */
bool candidates_find(struct candidates *out, const struct systems *systems,
		     const struct candidates_question *question,
		     const struct candidates_knowledge *knowledge, struct err *err) MUST_USE;
void candidates_release(struct candidates *c);

/* What to log on with at one of the addresses; NULL: nothing. */
const struct credential *candidates_credential(const struct candidates *c,
					       const struct select_address *address);
SCOPED_RELEASE(candidates);

#endif
