/*
 * Reading a range of a version's stream for a mount: of each chunk bytes go out that were hashed,
 * here or as a keeper of the mount's landed it (content/recent.h), and one that is missing or wrong
 * is brought first. Any thread.
 */
#ifndef AGENT_MOUNTREAD_H
#define AGENT_MOUNTREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/mountfeed.h"

struct mountread;

/* The feed is borrowed until the free, which comes before its close. */
struct mountread *mountread_new(struct mountfeed *feed) MUST_USE;
void mountread_free(struct mountread *r);

/* True: the reader does not want to wait any longer. */
typedef bool mountread_stop_fn(void *ctx);

/*
 * Read [offset, offset + size) of the stream, which must be in it. Returns 0, or an errno value:
 * EIO: nobody has the right bytes, EINTR: `stop` said so. Blocks while bytes come.
 */
int mountread_range(struct mountread *r, void *dst, uint64_t offset, size_t size,
		    mountread_stop_fn *stop, void *ctx);

#endif
