/*
 * The choice asked in a client's place: the same function over the same documents
 * (policy/candidates.h, nal/select.h), made from the database as the next publish will write it.
 * What only the client knows comes in as far as it has told it.
 *
 *     standin_open → standin_choose … → standin_close
 */
#ifndef SITE_STANDIN_H
#define SITE_STANDIN_H

#include <stdbool.h>
#include <stdint.h>

#include "nal/decision.h"
#include "nal/memory.h"
#include "nal/select.h"
#include "policy/candidates.h"
#include "site/site.h"

/* What is asked; texts are borrowed until standin_close. */
struct standin_question {
	const char *package;        /* an id, or "cap" for CAPs */
	const char *const *without; /* names of systems that are taken as down */
	size_t without_count;
	const char *policy; /* NULL: what applies */
};

struct standin;

/*
 * Read policy and where the package's newest version is. ERR_USAGE for what is no id and for an
 * unknown policy, ERR_NOT_FOUND for a package or system that does not exist, ERR_NO_CANDIDATE for a
 * package that no DP holds.
 */
bool standin_open(struct standin **out, struct site *site, const struct standin_question *question,
		  struct err *err) MUST_USE;
void standin_close(struct standin *s);
static inline void standin_scoped(struct standin **s)
{
	standin_close(*s);
}

const char *standin_object(const struct standin *s); /* the package's id, or "cap" */
enum kind standin_kind(const struct standin *s);
int64_t standin_version(const struct standin *s); /* 0 for CAPs */
const struct systems *standin_systems(const struct standin *s);

/* The candidates of a client of whom only addresses are known: what its answers point into. */
const struct candidates *standin_plain(const struct standin *s);

/* A mount that a client has told of. Texts are borrowed. */
struct standin_mount {
	const char *address; /* of the system, as policy writes it */
	const char *at;      /* NULL: not told */
	enum waykind_evidence evidence;
};

/* One client, or many of whom the same is known. All is borrowed. */
struct standin_client {
	const struct netaddr *addresses; /* in its own order */
	size_t address_count;
	const struct memory *memory; /* of what it told; NULL: nothing */
	const struct standin_mount *mounts;
	size_t mount_count;
	uint64_t seed;
};

/* Owns what the result points to, besides what is the stand-in's. */
struct standin_answer {
	struct candidates candidates;
	struct select_result result;
	uint64_t seed;
};

bool standin_choose(struct standin_answer *out, const struct standin *s,
		    const struct standin_client *client, struct err *err) MUST_USE;
void standin_answer_release(struct standin_answer *a);
SCOPED_RELEASE(standin_answer);

/* The record of an answer, as the client would write it; the caller frees it. */
struct decision *standin_record(const struct standin *s, const struct standin_answer *a) MUST_USE;

#endif
