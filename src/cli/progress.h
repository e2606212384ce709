/*
 * Progress of long work on a terminal: one line with bytes, rate and time left, redrawn in place
 * at most ten times a second. On a pipe, with --json or with --quiet nothing is shown.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/macros.h"

struct progress {
	bool is_shown;
	const struct clock *clock;
	char title[64];
	uint64_t began_ms;
	uint64_t drawn_ms;
};

/* Begin to show `title` (copied, cut at 63 bytes) on stderr, if that is a terminal and `is_wanted`.
 */
void progress_begin(struct progress *p, const char *title, const struct clock *clock,
		    bool is_wanted);

/* `done` of `total` bytes; a total of 0 is not known. */
void progress_show(struct progress *p, uint64_t done, uint64_t total);

/* Remove the line. */
void progress_end(struct progress *p);

/* The line itself, for tests: bytes, rate and time left after `elapsed_ms`; `size` >= 120. */
void progress_line(char *dst, size_t size, const char *title, uint64_t done, uint64_t total,
		   uint64_t elapsed_ms);

#endif
