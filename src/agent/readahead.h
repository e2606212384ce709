/*
 * How much of a package's stream to ask for, when some of it is missing or soon will be: little
 * for a reader that jumps about, more and more for one that goes straight on. A few readers are
 * told apart by where they are.
 *
 * PURE.
 */
#ifndef AGENT_READAHEAD_H
#define AGENT_READAHEAD_H

#include <stdbool.h>
#include <stdint.h>

#define READAHEAD_MIN     ((uint64_t)1 << 20)
#define READAHEAD_MAX     ((uint64_t)32 << 20)
#define READAHEAD_READERS 8

/* One reader; all in bytes of the stream. */
struct readahead_reader {
	uint64_t begin, at; /* it has read from `begin` straight on to `at` */
	uint64_t end;       /* so far was asked for */
	uint64_t window;    /* by as much at a time */
	uint64_t used;      /* order of use; 0: nobody */
};

/* { 0 } is the beginning. */
struct readahead {
	struct readahead_reader readers[READAHEAD_READERS];
	uint64_t uses;
};

/* A range of the stream; no size: nothing. */
struct readahead_range {
	uint64_t offset, size;
};

/* What to ask for now that [offset, offset + size) is wanted and part of it is missing. */
struct readahead_range readahead_missed(struct readahead *r, uint64_t offset, uint64_t size,
					uint64_t stream);

/* [offset, offset + size) was read: what to ask for in advance, if anything. */
struct readahead_range readahead_passed(struct readahead *r, uint64_t offset, uint64_t size,
					uint64_t stream);

#endif
