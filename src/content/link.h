/*
 * Does a symbolic link of a tree lead out of it? Answered by following it as the kernel would, by
 * way of the tree's other links: "a/b/.." is the root's parent where "a/b" is a link to "..".
 *
 * PURE.
 */
#ifndef CONTENT_LINK_H
#define CONTENT_LINK_H

#include "common/macros.h"
#include "common/span.h"

#define LINK_STEPS_MAX 4096 /* components followed before a link counts as tangled */

enum link_verdict {
	LINK_INSIDE,   /* stays in the tree, whether or not something is there */
	LINK_ABSOLUTE, /* begins with a slash, or passes a link that does */
	LINK_CLIMBS,   /* passes the root's parent */
	LINK_TANGLED,  /* too long to follow */
	LINK_VERDICT_COUNT_,
};

/* Returns the target of the link that stands at `path` in the tree; NULL where no link does. */
typedef const char *(*link_target_fn)(struct span path, void *ctx);

/* Judge the link at `path` (relative to the root) with the text `target`. */
enum link_verdict link_judge(struct span path, struct span target, link_target_fn find, void *ctx)
	MUST_USE;

/* "is absolute", "climbs out of the tree": for messages. */
const char *link_verdict_text(enum link_verdict verdict);

#endif
