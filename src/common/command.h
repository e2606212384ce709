/*
 * A program's command line as words: shell quoting rules, without any expansion.
 *
 * Blanks separate words; '…' keeps everything; "…" keeps everything but \" \\ \$ \` and an escaped
 * newline; a backslash outside quotes keeps the next character. $, *, ~, |, ; and # mean nothing:
 * a command that wants a shell names one. `{content}` in a word stands for the content folder.
 *
 * PURE.
 */
#ifndef COMMON_COMMAND_H
#define COMMON_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"

#define COMMAND_BYTES_MAX 16384 /* characters of a command line */
#define COMMAND_WORDS_MAX 512

struct command {
	char **words; /* ends with NULL */
	size_t count;
};

void command_release(struct command *c);
SCOPED_RELEASE(command);

/*
 * Split `text`. ERR_FORMAT: an open quote, a trailing backslash, or no word at all; ERR_LIMIT: one
 * of the maxima. `out` needs no initial value and is empty after a failure.
 */
bool command_split(struct command *out, const char *text, struct err *err) MUST_USE;

/* Replace every `{content}` in every word by `folder`. */
void command_place(struct command *c, const char *folder);

/*
 * The file that the first word means: an absolute path as it is, `sh` /bin/sh, anything else a
 * file beneath `folder` (never PATH, Q245703). The caller frees it. ERR_REFUSED for a relative
 * path that leaves the folder.
 */
bool command_file(char **path_out, const struct command *c, const char *folder, struct err *err)
	MUST_USE;

#endif
