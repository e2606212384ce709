/*
 * Diagnostics on stderr, one escaped line each: "packway: text". Results go to stdout by other
 * means; the log changes nothing but what is printed (Q243385).
 *
 * The level and the program's name are the only file-scope state of the project; main sets them
 * before anything else runs.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/error.h"
#include "common/macros.h"

enum log_level {
	LOG_QUIET,   /* errors only */
	LOG_NORMAL,  /* and warnings and notes */
	LOG_VERBOSE, /* and what is being done */
};

/*
 * The first call of every program. It also takes those of the descriptors 0, 1 and 2 that are
 * closed: else the next file to be opened gets the number, and what is meant for people ends up in
 * it. Reading and writing them goes on to fail with EBADF.
 */
void log_setup(const char *program, enum log_level level);

void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_note(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * Print a fault in its three lines: what, why, what to do with the code in brackets.
 * Printed at every level.
 */
void log_error(const struct err *err);

#endif
