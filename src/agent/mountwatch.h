/*
 * Notices that a network or FUSE mount has appeared or gone, without looking at the table again and
 * again: the kernel says when it has changed.
 *
 *     mountwatch_open → { poll for POLLPRI on .fd → mountwatch_has_changed } → mountwatch_close
 *
 * Reads nothing but the kernel's table: no server is asked and no automounter triggered. Linux
 * only.
 */
#ifndef AGENT_MOUNTWATCH_H
#define AGENT_MOUNTWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/span.h"

#define MOUNTWATCH_BYTES_MAX ((size_t)16 << 20) /* a larger table is not watched */

struct mountwatch {
	int fd;       /* the table; -1: it cannot be watched */
	uint64_t sum; /* of what was there when it was last looked at */
};

/* Watch from now on. Never fails: without a table nothing will ever have changed. */
void mountwatch_open(struct mountwatch *w);
void mountwatch_close(struct mountwatch *w);

/* True if other network or FUSE mounts are there than at the last call, and any at all. */
bool mountwatch_has_changed(struct mountwatch *w);

/*
 * A number that stands for the set of the network and FUSE mounts in a table's text; 0 if there
 * are none. Other mounts, and the order, do not matter.
 */
uint64_t mountwatch_sum(struct span table);

#endif
