/*
 * The verbs `credential set`, `list` and `remove`, which packway and packway-site have in common:
 * each says where its credentials stand.
 *
 * A secret comes from a file, from standard input, or from the terminal without echo; never from
 * the command line or the environment, where others see it.
 */
#ifndef CLI_CREDENTIALS_H
#define CLI_CREDENTIALS_H

#include "cli/verb.h"
#include "nal/credential.h"
#include "nal/memory.h"

/* Write the section of the server that the call names into `folder`. */
bool credentials_set(struct verb_call *call, const char *folder, struct err *err) MUST_USE;

/*
 * Print what the set holds, never a secret, and warn of its faults, which give the exit code.
 * `memory` says what was refused; NULL: nothing is known of that.
 */
void credentials_list(struct verb_call *call, const struct credential_set *set,
		      const struct memory *memory);

bool credentials_remove(struct verb_call *call, const char *folder, struct err *err) MUST_USE;

/* For the rows of the three verbs. */
extern const struct argument_spec credentials_arguments[];
extern const struct option_spec credentials_set_options[];
extern const char credentials_set_notes[];

#endif
