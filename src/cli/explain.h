/*
 * Decision records for people, in the same words on the client and at the site.
 */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <jansson.h>

#include "cli/print.h"

/*
 * One decision (docs/formats/decision.md, borrowed): the sentence first, then what it rests on.
 * With --json the record as it is. It may be anybody's: members may be missing or of other types.
 */
void explain_print(struct print *p, const json_t *decision);

#endif
