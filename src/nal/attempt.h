/*
 * The order in which ranked candidates are tried: connects are started a tenth of a second apart in
 * rank order, few at once, and the best-ranked one that connected is used as soon as every better
 * one has failed. There is no race against rank: a quick neighbour never beats a slower first
 * choice.
 *
 * A start every tenth of a second is what is ventured beside connects that may still succeed. One
 * that failed is replaced at once, besides: that start ventures nothing. So of candidates that drop
 * every packet ten are begun in the first second, from then on twice as many, up to the limit in
 * flight: 20 of them are over after 2.4 s, 100 after 6.5 s.
 *
 *     attempt_init → { attempt_next → do what it says → attempt_opened, attempt_connected,
 *     attempt_failed } until ATTEMPT_EXHAUSTED or the caller is served → attempt_release
 *
 * After ATTEMPT_USE the caller works with that candidate; should it fail later, attempt_failed
 * makes attempt_next go on with the next, and attempt_closed with the same, once. What became of
 * each candidate is the decision record's.
 *
 * PURE: time comes in as `now_ms`.
 */
#ifndef NAL_ATTEMPT_H
#define NAL_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/class.h"

#define ATTEMPT_STAGGER_MS    100  /* between two starts, those for failed ones aside */
#define ATTEMPT_CONNECT_MS    1000 /* for one connect, if the caller says nothing else */
#define ATTEMPT_IN_FLIGHT_MAX 20

enum attempt_state {
	ATTEMPT_STATE_WAITING, /* not looked at yet */
	ATTEMPT_STATE_CONNECTING,
	ATTEMPT_STATE_CONNECTED, /* in hand, not used yet */
	ATTEMPT_STATE_USED,      /* given to the caller */
	ATTEMPT_STATE_FAILED,
	ATTEMPT_STATE_COUNT_,
};

struct attempt_candidate {
	enum attempt_state state;
	bool was_open;        /* an open way: nothing has to be connected */
	enum nal_class class; /* FAILED: why; USED: NAL_CLASS_OK */
	uint64_t begun_ms;
	uint32_t ms; /* how long connecting took, or until it failed */
};

struct attempt {
	struct attempt_candidate *candidates; /* in rank order, best first */
	size_t count;
	uint32_t connect_ms; /* for one connect; ATTEMPT_CONNECT_MS at first */
	uint64_t next_start_ms;
	size_t owed; /* connects that failed, and whose successor may start at once */
};

enum attempt_action {
	ATTEMPT_CONNECT,   /* start connecting candidate `index`, then ask again */
	ATTEMPT_ABANDON,   /* stop connecting `index`: its time is over; it is failed already */
	ATTEMPT_USE,       /* work with `index`: it is connected, or open already */
	ATTEMPT_WAIT,      /* nothing to do for `wait_ms`, or until a connect ends */
	ATTEMPT_EXHAUSTED, /* all have failed */
};

struct attempt_step {
	enum attempt_action action;
	size_t index;
	uint32_t wait_ms;
};

/* Start with `count` candidates (may be 0), all waiting. */
void attempt_init(struct attempt *a, size_t count, uint64_t now_ms);
void attempt_release(struct attempt *a);
SCOPED_RELEASE(attempt);

/* Candidate `index` is an open way: it will be used without connecting. Before the first step. */
void attempt_opened(struct attempt *a, size_t index);

/* The connect of `index` succeeded. */
void attempt_connected(struct attempt *a, size_t index, uint64_t now_ms);

/* `index` failed: while it connected, or later in use. */
void attempt_failed(struct attempt *a, size_t index, enum nal_class class, uint64_t now_ms);

/*
 * The open way `index` was no more when the caller used it: its server may have ended it at any
 * time since, which says nothing of the server. It is connected like one that was never open.
 */
void attempt_closed(struct attempt *a, size_t index);

/* The caller was busy elsewhere for `ms`: connects under way are given that much more. */
void attempt_away(struct attempt *a, uint64_t ms);

/* What is to be done now. */
struct attempt_step attempt_next(struct attempt *a, uint64_t now_ms);

#endif
