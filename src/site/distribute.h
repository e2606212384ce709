/*
 * Distribution: what each DP shall hold (the database) against what was written there and read
 * back. A DP is named in location/<id>.json only for versions that were validated on it.
 *
 * Each DP is served by a process of its own, a few at a time, so that one that is dead or slow
 * delays nobody. What a process did is in the database piece by piece: a kill at any point costs at
 * most one object.
 */
#ifndef SITE_DISTRIBUTE_H
#define SITE_DISTRIBUTE_H

#include <stdatomic.h>

#include "site/site.h"

#define DISTRIBUTE_AT_ONCE        8  /* DPs */
#define DISTRIBUTE_RETRY_MIN_S    30 /* after the first failure */
#define DISTRIBUTE_RETRY_MAX_S    3600
#define DISTRIBUTE_KEEP_VERSIONS  3 /* versions a DP keeps besides the latest and pinned ones */
#define DISTRIBUTE_KEEP_DEFAULT_S (30 * 86400)

/* Called now and then from the calling process. */
typedef void (*distribute_progress_fn)(uint64_t done_bytes, uint64_t total_bytes, void *ctx);

struct distribute_options {
	const char *package;    /* NULL: every package */
	const char *const *dps; /* names; count 0: all DPs that hold, or shall hold, the package */
	size_t dp_count;
	bool ignores_backoff; /* a person asked: try failed DPs now */
	int64_t keep_s;       /* how long what nothing names stays there */
	distribute_progress_fn progress;
	void *progress_ctx;
};

/*
 * Let DPs hold the package from now on: those named, or all there are for count 0. ERR_NOT_FOUND
 * names a DP or package that does not exist; ERR_NOT_FOUND too for a site without a DP.
 */
bool distribute_want(struct site *site, const char *package, const char *const *dps,
		     size_t dp_count, struct err *err) MUST_USE;

/* Let DPs that hold the package, as for distribute_want, hold plain copies of it too. ERR_REFUSED:
 * one of them is external. */
bool distribute_want_trees(struct site *site, const char *package, const char *const *dps,
			   size_t dp_count, struct err *err) MUST_USE;

/* As distribute_want, inside the caller's transaction, which decides whether it holds. */
bool distribute_want_within(struct site *site, const char *package, const char *const *dps,
			    size_t dp_count, struct err *err) MUST_USE;

/*
 * Bring the DPs to what they shall hold; returns when all that are asked for are done, each under a
 * lock of its own. A DP's failure is a row of distribute_status, not a fault. `failed_out`: how
 * many of the DPs at work failed.
 */
bool distribute_run(size_t *failed_out, struct site *site, const struct distribute_options *options,
		    struct err *err) MUST_USE;

/*
 * Keep all DPs at what they shall hold: every `every_s` seconds each that has no process gets one;
 * one that still works, or is throttled, is let be, and holds up no other. Does not end but with a
 * fault of the site itself: returns false.
 */
bool distribute_keep_up(struct site *site, const struct distribute_options *options,
			int64_t every_s, struct err *err);

/*
 * Read back what a DP holds of a package (NULL: of all) and hash it. What is damaged or missing is
 * taken out of policy with the next publish and copied anew by the next distribution. Rows of
 * {"package","object","state","reason"} for each object; the caller owns them.
 */
bool distribute_validate(json_t **out, struct site *site, const char *dp, const char *package,
			 struct err *err) MUST_USE;

/* Per DP, package and version its state; NULL: all DPs (or packages). The caller owns it. */
bool distribute_status(json_t **out, struct site *site, const char *dp, const char *package,
		       struct err *err) MUST_USE;

#endif
