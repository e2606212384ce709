/*
 * Decision records: one choice, kept so that it can be explained on the client and at the site,
 * now and for last Tuesday. The JSON is the contract of `locate --json` and `explain --json`
 * (docs/formats/decision.md).
 *
 *     decision_new → decision_attempted … → decision_arrived → decision_settle → decision_json
 *
 * A record owns all of its text. Storing it is the caller's business.
 *
 * PURE.
 */
#ifndef NAL_DECISION_H
#define NAL_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "nal/arrival.h"
#include "nal/class.h"
#include "nal/kind.h"
#include "nal/select.h"
#include "nal/waykind.h"

#define DECISION_CANDIDATES_MAX 20000 /* of a record that is read */
#define DECISION_ATTEMPTS_MAX   20000
#define DECISION_ATTACHED_MAX   ((size_t)64 << 10) /* bytes of one that travels with a message */

struct decision_candidate {
	char *server;
	char *address; /* its text; of the way, or the first */
	enum select_reason reason;
	int64_t until_s;
	uint8_t tier; /* SELECT_TIER_NONE: not reached */
	uint32_t rank;
	enum waykind way;
	char *at; /* mounts: where the content lies; else NULL */
	struct select_terms terms;
};

struct decision_attempt {
	char *server;
	enum waykind way;
	enum nal_class what;
	uint64_t ms;
};

struct decision {
	char *package; /* NULL for CAPs */
	uint32_t version;
	enum kind kind;
	char *context; /* "system", or the user's name */
	char *policy;
	uint64_t seed;
	int64_t time_s;
	char *group; /* the client's boundary group; NULL: none */
	size_t listed;
	size_t valid;
	char *because;
	struct arrival arrival; /* of the content; ARRIVAL_UNKNOWN before it came */
	int64_t chosen;         /* index among the candidates; -1: none */
	struct decision_candidate *candidates;
	size_t candidate_count;
	struct decision_attempt *attempts;
	size_t attempt_count;
	char *rung; /* of the presence ladder; NULL: none ran */
	uint64_t rung_ms;
	enum select_wait wait;
	int64_t wait_until_s;
	struct select_decision decided; /* not stored: the sentence says it */
	bool is_settled;                /* attempts are over; not stored */
};

/* What the choice was about. Texts are copied. */
struct decision_about {
	const char *package; /* NULL for CAPs */
	uint32_t version;
	enum kind kind;
	const char *context;
	uint64_t seed;
	int64_t time_s;
};

/* The record of a choice before any attempt; its first usable candidate is the chosen one. */
struct decision *decision_new(const struct select_result *result,
			      const struct decision_about *about) MUST_USE;
void decision_free(struct decision *d);
SCOPED_FREE(decision);

/* Add an attempt on a server, in order of time. */
void decision_attempted(struct decision *d, const char *server, enum waykind way,
			enum nal_class what, uint64_t ms);

/* Say that a candidate was read at another of its addresses than the choice had named. */
void decision_reached(struct decision *d, const char *server, const char *address);

/* Say which rung of the presence ladder answered, and after how long. */
void decision_presence(struct decision *d, const char *rung, uint64_t ms);

/* Say how the content came, before the record is settled; ARRIVAL_NONE: nobody was asked. */
void decision_arrived(struct decision *d, const struct arrival *arrival);

/*
 * The attempts are over: `server` served, or NULL if none did. The sentence is made anew and says
 * what happened instead of what would.
 */
void decision_settle(struct decision *d, const char *server);

/* The record as JSON; the caller owns it. */
json_t *decision_json(const struct decision *d) MUST_USE;

/*
 * The record as it travels: itself while its text has at most `bytes_max`; else without the last of
 * its candidates and attempts, and `left_out` says how many. The chosen one stays. The caller owns
 * the result.
 */
json_t *decision_excerpt(json_t *doc, size_t bytes_max) MUST_USE;

/* Read a record back. ERR_FORMAT, ERR_LIMIT. */
bool decision_parse(struct decision **out, const json_t *doc, struct err *err) MUST_USE;

#endif
