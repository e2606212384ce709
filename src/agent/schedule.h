/*
 * What is to be done about each assignment now: one state, and where it waits a reason and a time.
 * Everything it needs comes in as facts; it decides and looks at nothing else.
 *
 *     fill assignments and facts → schedule_evaluate → schedule_order → run the first, again
 *
 * A clock that jumps does no harm: a finished run stays finished whatever time its end has, and a
 * pause after a failure is never longer than it is from now.
 *
 * PURE (local time of day through common/clock).
 */
#ifndef AGENT_SCHEDULE_H
#define AGENT_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/journal.h"
#include "common/clock.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define SCHEDULE_RETRY_FIRST_S \
	900 /* pause after the first failure of a program that is run again */
#define SCHEDULE_RETRY_MAX_S 86400     /* it doubles up to this */
#define SCHEDULE_NEVER       INT64_MAX /* a time that is not known */

enum schedule_state {
	SCHEDULE_NOT_YET_AVAILABLE, /* its available time is to come */
	SCHEDULE_OFFERED,           /* optional: runs when somebody asks */
	SCHEDULE_DUE,               /* to be run now */
	SCHEDULE_WAITING,           /* would be due but for the reason */
	SCHEDULE_RUNNING,
	SCHEDULE_SUCCEEDED,
	SCHEDULE_FAILED,      /* ended badly, or could not be started, and is not run again */
	SCHEDULE_INTERRUPTED, /* nobody saw its end, and it is not run again */
	SCHEDULE_EXPIRED,     /* its time was over before it could run */
	SCHEDULE_STOPPED,     /* by the site's admin */
	SCHEDULE_REJECTED,    /* this client may not or cannot run it; see the fact's text */
	SCHEDULE_STATE_COUNT_,
};

enum schedule_reason {
	SCHEDULE_NO_REASON,
	SCHEDULE_MANDATORY_TIME, /* its mandatory time is to come */
	SCHEDULE_WINDOW,         /* its daily window is closed */
	SCHEDULE_RUN_AFTER,      /* the program that it follows has not succeeded */
	SCHEDULE_CONTENT,        /* its content is not here; the fact's text says why */
	SCHEDULE_OUTBOX_FULL,    /* there is no room for its records */
	SCHEDULE_POLICY_EXPIRED, /* policy is too old to start anything new */
	SCHEDULE_RETRY,          /* it failed and pauses before the next attempt */
	SCHEDULE_BUSY,           /* another program is running */
	SCHEDULE_REASON_COUNT_,
};

enum schedule_rerun {
	SCHEDULE_RERUN_NEVER,      /* one run for each serial */
	SCHEDULE_RERUN_ON_FAILURE, /* until it has succeeded, with growing pauses */
	SCHEDULE_RERUN_ALWAYS,     /* the same, and by hand also after a success */
	SCHEDULE_RERUN_COUNT_,
};

/* Of the plan. Texts are borrowed; times are SCHEDULE_NEVER where the plan has none. */
struct schedule_assignment {
	const char *advertisement;
	uint64_t serial;
	const char *package;
	const char *program;
	const char *after_package; /* NULL: follows none */
	const char *after_program;
	enum schedule_rerun rerun;
	bool stopped;
	int64_t available_s; /* SCHEDULE_NEVER: at once */
	int64_t mandatory_s; /* SCHEDULE_NEVER: optional */
	int64_t expires_s;   /* SCHEDULE_NEVER: does not */
	bool has_window;
	struct clock_window window;
	const char *rejected; /* why this client does not run it; NULL: it may */
};

/* What the client knows beside its journal about one assignment. */
struct schedule_content {
	bool ready;         /* verified and on this machine */
	const char *reason; /* why not; borrowed, NULL: it has not been tried */
	int64_t until_s;    /* when that may change; SCHEDULE_NEVER: not known */
};

/* What holds for all of them. */
struct schedule_facts {
	int64_t now_s; /* not below the floor of TRUST: the caller takes the later */
	const struct journal_list *journal;
	bool outbox_full;
	bool policy_expired;
	bool by_hand; /* somebody asks for this one: mandatory time and window do not count */
};

struct schedule_verdict {
	enum schedule_state state;
	enum schedule_reason reason; /* of SCHEDULE_WAITING */
	const char *text;            /* content's or rejection's own words, borrowed; NULL */
	int64_t until_s;          /* when to look again; SCHEDULE_NEVER: when something changes */
	bool wants_content;       /* it is worth fetching its content now */
	bool restart_pending;     /* succeeded, and a restart completes it */
	enum journal_again again; /* how to begin its run */
};

/* Decide about one assignment. `content` NULL: ready (a program without content). */
void schedule_evaluate(struct schedule_verdict *out, const struct schedule_assignment *a,
		       const struct schedule_content *content, const struct schedule_facts *facts);

/*
 * Put the indexes of the assignments in the order in which to run: earliest mandatory time first,
 * then earliest available, then by id. Those without a mandatory time come last. `order` has room
 * for `count`.
 */
void schedule_order(size_t *order, const struct schedule_assignment *assignments, size_t count);

/* A member that is a time as text; SCHEDULE_NEVER where it is absent or none. */
int64_t schedule_time(const json_t *object, const char *key);

/* The earliest moment at which a verdict may change by time alone; SCHEDULE_NEVER without one. */
int64_t schedule_next(const struct schedule_verdict *verdicts, size_t count);

/* not-yet-available, offered, due, waiting, running, … */
const char *schedule_state_name(enum schedule_state state);

/* mandatory-time, window, run-after, content, outbox-full, policy-expired, retry, busy; "" for
 * none. */
const char *schedule_reason_name(enum schedule_reason reason);

/* never, always or on-failure; false for other texts. */
bool schedule_parse_rerun(enum schedule_rerun *out, const char *text) MUST_USE;

#endif
