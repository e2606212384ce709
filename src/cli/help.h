/*
 * Help made from the tables of verbs, options and keys: for people on a terminal, and as one JSON
 * document from which the manual pages are made and checked.
 *
 * PURE.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <jansson.h>

#include "cli/verb.h"
#include "common/buf.h"

/* All verbs of the program whose names begin with `prefix` ("" for all: `cap` for the cap verbs).
 */
void help_program(struct buf *out, const struct program *program, const char *prefix);

/* One verb: usage line, arguments, options, notes. */
void help_verb(struct buf *out, const struct program *program, const struct verb *verb);

/* The usage line alone, without a line end. */
void help_usage(struct buf *out, const struct program *program, const struct verb *verb);

/*
 * {"program","summary","verbs":[{"name","summary","usage","arguments","options","notes"}],"options",
 * "keys":[{"name","type","default","help"}]}; the caller owns it.
 */
json_t *help_document(const struct program *program) MUST_USE;

/* The options that every verb takes; a table ended by a NULL name. */
const struct option_spec *help_common_options(void);

#endif
