/*
 * A session's conversation with its owner: requests in, answers out, one after the other, until the
 * owner or the server hangs up. docs/formats/smb.md says what is spoken.
 */
#ifndef SMB_TALK_H
#define SMB_TALK_H

#include "common/macros.h"

/* The mode --session; the owner's socket is descriptor 3. Returns the exit code. */
int talk_main(char **args);

#endif
