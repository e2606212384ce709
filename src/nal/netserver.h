/*
 * NetServerGetInfo at a server, from outside: packway-smb makes the call (smb/serverinfo.h) in a
 * process of its own, which is killed at a deadline, since the call knows none.
 */
#ifndef NAL_NETSERVER_H
#define NAL_NETSERVER_H

#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"

#define NETSERVER_PORT 445  /* the call knows no other */
#define NETSERVER_MS   3000 /* a busy server that has to start its RPC services takes most of it */

/*
 * Ask the server at `address`, a numeric address or a name. Blocks for at most `timeout_ms` and the
 * moment that killing takes; the session is gone with the process in every case.
 *
 * NAL_CLASS_OK: it told about itself. NOT_FOUND: it is there, but has no such service (the call
 * "does not work", Q226113, Q207429). DENIED: not for anonymous clients. UNKNOWN: no reason was
 * given, or the helper could not be started. `err` is filled unless OK.
 */
enum nal_class netserver_ask(const char *address, uint32_t timeout_ms, struct err *err) MUST_USE;

/* The class of the call's status, and of what was said meanwhile; for tests. */
enum nal_class netserver_class(int64_t status, const char *said);

#endif
