/*
 * What is in a folder and below it: paths, sizes, times and the targets of links, for source.c.
 *
 * Nearly all of it is system calls, one a file; two threads share the folders of a tree that has
 * some. Symbolic links are never followed.
 */
#ifndef CONTENT_LISTING_H
#define CONTENT_LISTING_H

#include <time.h>

#include "common/arena.h"
#include "content/source.h"

#define LISTING_HANDS 2

struct listing {
	struct source_entry *entries; /* in no order */
	uint32_t count;
	uint64_t size;                     /* bytes of all files */
	struct arena texts[LISTING_HANDS]; /* what the entries point to */
};

/*
 * List what is below `root`, an open folder that faults name as `folder`. Blocks for as long as the
 * disk takes. Faults are those of source_open, but for links, which nobody has judged yet; an empty
 * folder is none.
 */
bool listing_read(struct listing *out, int root, const char *folder, struct err *err) MUST_USE;
void listing_release(struct listing *l);

static inline int64_t listing_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The fault of a failed call (errno) on something that was there a moment ago. */
bool listing_fault(struct err *err, const char *path);

#endif
