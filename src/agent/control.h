/*
 * The control socket: where commands find the agent of a state folder. The frames are those of
 * docs/ARCHITECTURE.md 8; here is only who connects and may ask.
 */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"

/*
 * Listen at `path`, whose folder is made if absent. A socket that nobody listens on any more is
 * replaced: the caller holds the state's lock, so it is a left-over. Not blocking, close-on-exec.
 */
bool control_listen(int *fd_out, const char *path, struct err *err) MUST_USE;

#define CONTROL_SEND_S 10 /* how long a peer may leave unread what it is told */

/*
 * Accept one waiting peer: false if there is none. *uid_out is its user by the kernel's word.
 * Sending to it fails once it has read nothing for CONTROL_SEND_S.
 */
bool control_accept(int *fd_out, uid_t *uid_out, int listener) MUST_USE;

/*
 * Connect to the agent that listens at `path`. False: there is none, or its queue has been full for
 * `wait_ms` (0: wait for ever); what is sent to it may take as long.
 */
bool control_reach(int *fd_out, const char *path, uint32_t wait_ms) MUST_USE;

#endif
