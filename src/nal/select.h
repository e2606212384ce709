/*
 * The choice: which server, over which way, and why not the others.
 *
 *     candidates → filter → tier → rank → draw
 *
 * One function serves the client (`packway locate`, `fetch`, `sync`), the site (`what-if`) and the
 * tests. It decides from the facts it is given and nothing else: same facts and same seed, same
 * result. It never probes; the attempt that follows is the evidence.
 *
 *     struct select_result result;
 *     select_run(&result, &input);
 *     … walk result.rows[0 … result.usable) in order …
 *     select_result_release(&result);
 *
 * Everything in the input is borrowed and must outlive the result, which points into it.
 *
 * PURE.
 */
#ifndef NAL_SELECT_H
#define NAL_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/boundary.h"
#include "nal/kind.h"
#include "nal/locator.h"
#include "nal/memory.h"
#include "nal/preference.h"
#include "nal/terms.h"
#include "nal/waykind.h"

#define SELECT_SEED_MAX (((uint64_t)1 << 53) - 1) /* larger seeds are cut: JSON holds no more */

#define SELECT_TIER_PREFERRED 0
#define SELECT_TIER_CURRENT \
	1 /* the client's boundary group, or the site default for who is in none */
#define SELECT_TIER_NEIGHBOURS 2
#define SELECT_TIER_DEFAULT    3
#define SELECT_TIER_NONE       UINT8_MAX

/* Why a candidate is not used. The order is that of the checks: the first that applies is named. */
enum select_reason {
	SELECT_USABLE,
	SELECT_FENCE,         /* outside the client's fenced group */
	SELECT_LEFT_OUT,      /* whoever asks takes it as down: what-if --without */
	SELECT_NO_PROVIDER,   /* no address that this build can speak to, and no mount of it */
	SELECT_NO_CREDENTIAL, /* no address for which there is a credential */
	SELECT_DENIED,        /* the servers refused ours; until configuration changes */
	SELECT_QUARANTINED,   /* its bytes of this object did not verify; `until` */
	SELECT_KNOWN_MISSING, /* it lacked this object a moment ago; `until` */
	SELECT_BACKING_OFF,   /* it failed a moment ago; `until` */
	SELECT_NOT_PREFERRED, /* policy preferred-only */
	SELECT_OTHER_GROUP,   /* in a group that is neither the client's nor a neighbour */
	SELECT_TIER_CLOSED,   /* its tier opens later; `until`, or never if that is 0 */
	SELECT_REASON_COUNT_,
};

/* What an empty result waits for. */
enum select_wait {
	SELECT_WAIT_NONE,       /* something is usable */
	SELECT_WAIT_NEIGHBOURS, /* the neighbours' tier opens */
	SELECT_WAIT_DEFAULT,    /* the site default opens */
	SELECT_WAIT_RETRY,      /* back-off, quarantine or a missing object's time ends */
	SELECT_WAIT_CHANGE,     /* no time helps: configuration or policy has to change */
	SELECT_WAIT_COUNT_,
};

struct select_address {
	const struct locator *where;
	bool has_provider;   /* this build speaks its scheme */
	bool has_credential; /* ours, a ticket or guest is not ruled out there */
	bool is_denied;      /* it has none because the server refused what we have */
};

/* An open connection or mount that touches one of the candidate's addresses, in this context. */
struct select_open_way {
	enum waykind way;               /* WAYKIND_SESSION or WAYKIND_MOUNT */
	enum waykind_evidence evidence; /* only WAYKIND_EVIDENCE_PATH can carry content */
	size_t address;                 /* index of the address */
	const char *at;                 /* mounts: where the content lies; NULL for sessions */
	bool is_hung;                   /* it did not answer in time: not used */
};

struct select_candidate {
	const char *name;
	const char *uuid;  /* NULL: not known */
	const char *group; /* NULL: the site default */
	const struct select_address *addresses;
	size_t address_count;
	const struct select_open_way *ways;
	size_t way_count;
	struct memory_facts facts;
	bool is_left_out;
};

enum select_flags {
	/*
	 * Somebody waits at a terminal: servers in back-off, and those that lacked the object a
	 * moment ago, are tried last instead of left out.
	 */
	SELECT_TRIES_BACKED_OFF = 1 << 0,
};

struct select_input {
	enum kind kind;
	const char *object; /* package id; for CAPs "cap". The draw depends on it */
	const struct select_candidate *candidates;
	size_t count;

	const struct boundary_group *groups; /* the site's */
	size_t group_count;
	const struct netaddr *addresses; /* the client's, those that are live */
	size_t address_count;

	const struct preference *preference; /* the client's own; NULL: none */
	const struct terms_policy *policy; /* NULL: the client's, else the group's, else existing */
	int64_t now_s;
	int64_t wait_since_s; /* of memory_wait_since; 0: it does not wait yet */
	uint64_t seed;
	unsigned int flags;
};

/* The values that ranking looked at, for the record. */
struct select_terms {
	enum waykind_evidence session;
	enum waykind_evidence mount;
	bool is_sticky;
	bool is_slow;        /* its open way lost to a server measured much faster */
	bool is_backing_off; /* tried last */
	uint8_t band;        /* of goodput, as compared; an unknown one counts as the tier's best */
	uint64_t goodput_bps; /* 0: not known */
	uint64_t draw;        /* smaller first */
};

struct select_row {
	const struct select_candidate *candidate;
	enum select_reason reason;
	int64_t until_s; /* when the reason ends; 0: no time ends it */
	uint8_t tier;    /* SELECT_TIER_NONE where it was not reached */
	bool is_valid;   /* it passed the filter */
	uint32_t rank;   /* from 1 inside its tier; 0 for those left out */
	enum waykind way;
	size_t address; /* the address that the way reaches */
	const char *at; /* mounts: where the content lies */
	struct select_terms terms;
};

struct select_result {
	struct select_row *rows; /* usable ones in the order of attempts, then those left out */
	size_t count;            /* listed */
	size_t usable;
	size_t valid;
	const struct terms_policy *policy;
	struct boundary_match match;
	enum select_wait wait;
	int64_t wait_until_s; /* 0: no time helps */
};

void select_run(struct select_result *out, const struct select_input *in);
void select_result_release(struct select_result *result);
SCOPED_RELEASE(select_result);

/*
 * True if at least one candidate is usable, or will be when time has passed. False means that these
 * settings lock the client out, and is asked before a policy or a preference is accepted.
 */
bool select_can_reach(const struct select_input *in);

/* What put the first row before the others. */
enum select_decider {
	SELECT_BY_NOTHING, /* no other is usable */
	SELECT_BY_TIER,
	SELECT_BY_OPEN_WAY, /* across tiers */
	SELECT_BY_BACK_OFF, /* the others failed a moment ago */
	SELECT_BY_TERM,     /* see `term` */
};

struct select_decision {
	enum select_decider by;
	enum terms_term term;
	size_t equals; /* rows that only the draw tells apart from the first, itself included */
};

/* Needs at least one usable row. */
struct select_decision select_decided(const struct select_result *result);

/* "fence", "no-provider", … and "usable"; never NULL. */
const char *select_reason_name(enum select_reason reason);
bool select_reason_parse(enum select_reason *out, const char *name) MUST_USE;

/* "none", "neighbours", "site-default", "retry", "change"; never NULL. */
const char *select_wait_name(enum select_wait wait);

#endif
