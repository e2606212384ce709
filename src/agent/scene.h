/*
 * The scene of a choice: everything that `select` wants to know about this client, put together
 * from policy, state and machine: site systems with their addresses, boundary groups, the client's
 * live addresses, open sessions and mounts, preferences, and what is remembered of servers.
 *
 * A scene lives as long as the worker, since it holds the open sessions; scene_look brings the rest
 * up to date before a request.
 */
#ifndef AGENT_SCENE_H
#define AGENT_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/policyset.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "nal/conntab.h"
#include "nal/decision.h"
#include "nal/memory.h"
#include "nal/mountmatch.h"
#include "nal/select.h"
#include "policy/candidates.h"

struct context;
struct worker;
struct scene;

bool scene_new(struct scene **out, struct worker *w, struct err *err) MUST_USE;

/* Close every session and save what was learned. NULL is fine. */
void scene_free(struct scene *s);

/* Read policy, addresses, mounts and memory again, as the worker's viewer sees them. Without any
 * trusted policy only bootstrap CAPs are known. */
bool scene_look(struct scene *s, struct err *err) MUST_USE;

/* Close sessions whose linger is over. */
void scene_close_idle(struct scene *s);

/* The verified policy; NULL while there is none. Borrowed until the next scene_look. */
struct policyset *scene_policy(const struct scene *s);
const struct docs_site *scene_site(const struct scene *s);

struct conntab *scene_conntab(const struct scene *s);
struct memory *scene_memory(const struct scene *s);

/* What the client's boundary group allows its fetches. Texts are borrowed until the next
 * scene_look. */
struct scene_limits {
	const char *group;  /* NULL: the client is in none, and has no limits */
	uint64_t max_rate;  /* bytes a second; 0: any */
	const char *window; /* "HH:MM-HH:MM" of the client's day; NULL: always */
};

struct scene_limits scene_limits(const struct scene *s) MUST_USE;

/* What a choice is about. Texts are borrowed. */
struct scene_question {
	enum kind kind;
	const char *object;        /* package id, or "cap" */
	const char *version_key;   /* what quarantine is kept by: "LON00001:3", or "cap" */
	const char *const *listed; /* names of the DPs that have it; NULL: all of that kind */
	size_t listed_count;
	const char *only;   /* a system's name, or an address: no other; NULL: any */
	const char *policy; /* NULL: what applies */
	bool has_seed;
	uint64_t seed;   /* else drawn anew */
	bool for_person; /* somebody waits: servers in back-off are tried last */
	bool writes;     /* CAPs: only those with an inbox that can be written */
};

/* An answer owns all that its rows point to. */
struct scene_answer {
	struct select_input input;
	struct select_result result;
	struct candidates candidates;
	struct mountmatch_list mounts; /* what its open ways point to */
	const struct context *context; /* the scene's */
	uint64_t seed;
};

/* Make the choice. ERR_USAGE: unknown policy; ERR_NOT_FOUND: `only` names no such system. */
bool scene_choose(struct scene_answer *out, struct scene *s, const struct scene_question *q,
		  struct err *err) MUST_USE;
void scene_answer_release(struct scene_answer *a);
static inline void scene_answer_scoped(struct scene_answer *a)
{
	scene_answer_release(a);
}

/*
 * The same choice, of one server alone that is drawn from all that could be used: for what the best
 * one may have kept to itself. False where there is no other. `out` is to be released after true.
 */
bool scene_choose_another(struct scene_answer *out, struct scene *s, struct scene_question *q,
			  const struct scene_answer *best) MUST_USE;

/* The record of the choice, without attempts; the caller frees it. */
struct decision *scene_record(const struct scene *s, const struct scene_question *q,
			      const struct scene_answer *a, uint32_t version) MUST_USE;

/*
 * How to reach a usable row of an answer: number 0 is the way that was chosen, the next ones are
 * the system's other addresses, in the site's order. False: it has no more. Borrowed from the
 * answer.
 */
bool scene_target(struct way_target *out, const struct scene_answer *a,
		  const struct scene_question *q, size_t row, size_t number) MUST_USE;

/* With q->writes: true if the row reaches an inbox of its own. */
bool scene_row_is_inbox(const struct scene_answer *a, size_t row);

/* Note what became of an attempt on a row's server, and save it. */
void scene_note(struct scene *s, const struct scene_question *q, const char *server,
		enum nal_class what);

/* Note that a server refused that target's account or ticket (conntab_has_refused): it is kept back
 * from now on. */
void scene_refused(struct scene *s, const struct way_target *target);

/* The same for a finished transfer: what it measured. */
void scene_measured(struct scene *s, const char *server, uint64_t bytes, uint64_t ms);

/* Begin, or end, to wait for a tier to open; saved at once. */
void scene_wait_begin(struct scene *s, const char *object);
void scene_wait_end(struct scene *s, const char *object);

/* Open sessions and mounts of known systems, as `connections --json` shows them; the caller owns
 * it. */
json_t *scene_connections(struct scene *s) MUST_USE;

#endif
