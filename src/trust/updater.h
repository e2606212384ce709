/*
 * The metadata client: keeps a set of trusted metadata current from a server that is believed in
 * nothing, and says what targets are by it.
 *
 * No I/O and no clock of its own: a source fetches, a store keeps, and the time is given once. An
 * updater lives for one refresh or one offline look:
 *
 *     updater_new → updater_refresh | updater_poll | updater_load_trusted
 *                 → updater_find_target, updater_each_target, updater_fetch_target → updater_free
 *
 * What is stored was verified before; what is rejected is stored nowhere. The order of requests and
 * checks is docs/formats/metadata.md's. May block where the source does. One thread per updater;
 * one updater at a time per store (the caller holds a lock).
 */
#ifndef TRUST_UPDATER_H
#define TRUST_UPDATER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/role.h"
#include "trust/verdict.h"

#define UPDATER_ROOTS_MAX       256                 /* new roots in one refresh */
#define UPDATER_DELEGATIONS_MAX 32                  /* delegated roles visited in one search */
#define UPDATER_TARGET_MAX      ((size_t)256 << 20) /* bytes of a target fetched whole */

enum updater_base {
	UPDATER_METADATA, /* below the metadata folder */
	UPDATER_TARGETS,  /* below the targets folder */
};

enum updater_fetched {
	UPDATER_GOT,
	UPDATER_NOT_FOUND, /* the server says that there is no such file */
	UPDATER_UNCHANGED, /* `if_changed` was asked, and the file is what the store holds */
	UPDATER_TOO_LARGE, /* more than `max` bytes were on offer */
	UPDATER_SLOW,      /* fewer bytes a second than the source's floor; err says so */
	UPDATER_FAILED,    /* any other failure; err says which */
};

struct updater_request {
	enum updater_base base;
	const char *path; /* relative to `base`, percent-encoded */
	size_t max;       /* bytes; the source reads no more, whatever the server sends */
	bool if_changed;  /* a conditional request will do: the store holds a copy */
};

/* Where new files come from. */
struct updater_source {
	/*
	 * Append the file that is asked for to `out`. Fills `err` for UPDATER_FAILED and
	 * UPDATER_SLOW. May block for as long as the source's own deadlines allow. Must not call
	 * the updater.
	 */
	enum updater_fetched (*fetch)(void *ctx, const struct updater_request *request,
				      struct buf *out, struct err *err);
	void *ctx;
};

/* Where trusted files are kept, under plain file names ("root.json", "timestamp.json", …). */
struct updater_store {
	/* Append a stored file of at most `max` bytes; false if there is none that can be read. */
	bool (*load)(void *ctx, const char *file, size_t max, struct buf *out);
	/* Keep the file durably, whole or not at all. */
	bool (*save)(void *ctx, const char *file, struct span bytes, struct err *err);
	/* Remove the file; a missing one is fine. */
	bool (*remove)(void *ctx, const char *file, struct err *err);
	void *ctx;
};

struct updater_options {
	int64_t now_s;   /* the update's one time, seconds since 1970 */
	int64_t floor_s; /* local time when the last timestamp was accepted; 0: no floor */
};

enum updater_clock {
	UPDATER_CLOCK_FINE,
	UPDATER_CLOCK_BEHIND,     /* behind the floor, which was used instead */
	UPDATER_CLOCK_FAR_BEHIND, /* by more than a day: to be reported as PW-CLOCK */
};

struct updater;

/*
 * Make an updater. `source` may be NULL for an offline one. Both are copied; their ctx must outlive
 * the updater. The caller frees it.
 */
struct updater *updater_new(const struct updater_store *store, const struct updater_source *source,
			    const struct updater_options *options) MUST_USE;
void updater_free(struct updater *u);
SCOPED_FREE(updater);

/*
 * Bring root, timestamp, snapshot and targets up to date. VERDICT_OK: all four are verified,
 * current and stored. Anything else: the store holds what was verified so far, which never includes
 * the rejected file, and the updater is good for nothing but updater_state.
 */
enum verdict updater_refresh(struct updater *u, struct err *err) MUST_USE;

/*
 * Ask for timestamp.json first, conditionally, if the stored root, timestamp, snapshot and targets
 * are whole and in life. VERDICT_UNCHANGED if it is what the store holds: the updater then answers
 * for targets. Else as updater_refresh, which does not fetch the timestamp a second time unless a
 * new root makes that necessary.
 */
enum verdict updater_poll(struct updater *u, struct err *err) MUST_USE;

/*
 * Verify the stored chain from root.json, without any request, now or later. Signatures must hold.
 * Expired roles, and roles older than what lists them (a refresh that broke off), are accepted
 * since what was trusted stays in force; updater_state tells.
 */
enum verdict updater_load_trusted(struct updater *u, struct err *err) MUST_USE;

/* A target as a trusted role lists it; borrowed from the updater. */
struct updater_target {
	const char *path;
	const char *role;           /* who lists it: "targets" or a delegated role */
	struct role_target listing; /* length and hashes */
};

/*
 * Find `path` by the pre-order search over delegations. VERDICT_TARGET_NOT_FOUND if no role that is
 * asked lists it; another verdict if a role on the way cannot be trusted, which ends the search.
 * `out->path` is `path` itself. May fetch delegated roles.
 */
enum verdict updater_find_target(struct updater *u, const char *path, struct updater_target *out,
				 struct err *err) MUST_USE;

/*
 * Call `each` for every target that `role` or a role that it delegates to lists and that
 * updater_find_target would find there; false from `each` ends it. `role` is "targets" or a role
 * that targets delegates to. May fetch delegated roles. VERDICT_MISSING_TARGET_ROLE if there is no
 * such role.
 */
enum verdict updater_each_target(struct updater *u, const char *role,
				 bool (*each)(void *ctx, const struct updater_target *target),
				 void *ctx, struct err *err) MUST_USE;

/*
 * Have the file of a role that targets delegates to, not of those to which that role delegates. May
 * fetch. VERDICT_MISSING_TARGET_ROLE if there is no such role.
 */
enum verdict updater_hold_role(struct updater *u, const char *role, struct err *err) MUST_USE;

/*
 * Fetch a target and check its length and hashes; `out` is empty unless the verdict is VERDICT_OK.
 */
enum verdict updater_fetch_target(struct updater *u, const struct updater_target *target,
				  struct buf *out, struct err *err) MUST_USE;

/* True if `bytes` are the target's, as for a copy that was stored earlier. */
bool updater_target_matches(const struct updater_target *target, struct span bytes);

/*
 * Call `each` with the store's file name of every role that is held: of those that this updater has
 * verified, not of others that happen to be stored. False from `each` ends it, and is returned.
 */
bool updater_each_file(const struct updater *u, bool (*each)(void *ctx, const char *file),
		       void *ctx);

struct updater_state {
	int64_t root, timestamp, snapshot, targets; /* versions held; 0: none */
	int64_t expires;          /* earliest end of life of what is held; INT64_MAX: nothing is */
	const char *expires_role; /* whose; borrowed from the updater */
	int64_t now_s;            /* the time that was used: never before the floor */
	enum updater_clock clock;
	bool accepted; /* a newer timestamp was accepted: the floor moves to now_s */
	bool stale;    /* updater_load_trusted met roles older than listed */
};

void updater_state(struct updater_state *out, const struct updater *u);

#endif
