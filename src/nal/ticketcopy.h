/*
 * A copy of a Kerberos ticket cache that belongs to another account, for a library that reads none
 * but its own (Heimdal compares the owner with the effective uid).
 *
 * Needs the right to read the original (CAP_DAC_READ_SEARCH). Caches in a file only.
 */
#ifndef NAL_TICKETCOPY_H
#define NAL_TICKETCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/macros.h"

#define TICKETCOPY_MAX ((size_t)256 << 10) /* bytes of a cache */

/*
 * Have a copy of the cache `from`, which has to be `owner`'s, in the file `to`, mode 0600. Nothing
 * is read where the copy there is of the same size and time. False: there is none now.
 */
bool ticketcopy_make(const char *to, const char *from, uid_t owner) MUST_USE;

#endif
