/*
 * Compare a tree on disk with its manifest: what is missing, changed, extra, or has another mode.
 *
 * Files are read through no symbolic link and no other kind of file; nothing is changed.
 */
#ifndef CONTENT_CHECK_H
#define CONTENT_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "content/manifest.h"

#define CHECK_ITEMS_MAX 10000 /* that are listed; more are only counted */

enum check_kind {
	CHECK_FINE,
	CHECK_MISSING,    /* nothing stands there */
	CHECK_TYPE,       /* something of another kind stands there */
	CHECK_CHANGED,    /* other bytes, or another size */
	CHECK_SUSPECT,    /* in one chunk with other small files, one of which at least has changed
			     or is missing: which, the manifest cannot tell */
	CHECK_UNREADABLE, /* this account may not read it */
	CHECK_MODE,       /* the same bytes, other permissions; that not everybody may write what
			     everybody might is fine */
	CHECK_TARGET,     /* a link that leads elsewhere */
	CHECK_EXTRA,      /* the manifest knows nothing of it */
	CHECK_KIND_COUNT_,
};

/* "fine", "missing", "type", "changed", "suspect", "unreadable", "mode", "target", "extra". */
const char *check_kind_name(enum check_kind kind);

struct check_item {
	enum check_kind kind;
	char *path; /* relative to the tree; foreign bytes, to be escaped */
};

struct check {
	struct check_item *items; /* the manifest's entries first, in its order, then extra ones */
	size_t count;
	uint64_t total; /* findings, listed or not; 0: the tree is as it should be */
	uint64_t bytes; /* read and hashed */
};

void check_release(struct check *c);
SCOPED_RELEASE(check);

/*
 * Check the tree in the folder `path`; `out` is { 0 } before. `cancel` may be NULL. False:
 * the check itself could not be made (ERR_NOT_FOUND, ERR_INTERRUPTED, …); findings are no fault.
 */
bool check_tree(struct check *out, const char *path, const struct manifest *manifest,
		const atomic_bool *cancel, struct err *err) MUST_USE;

#endif
