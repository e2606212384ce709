/*
 * Work that may hang, done by a child that can be killed: file-system calls on network mounts and
 * name resolution.
 *
 *     timebox_start → timebox_read, timebox_read_fd … → timebox_end
 *
 * The child runs `work` with one end of a socket pair, on which it writes what the parent wants to
 * know, and ends. At its deadline the parent kills it. A child that the kernel does not let die (a
 * hung mount) is *stuck*: it is remembered, and no further one is started for the same box until it
 * is gone; so at most one is stuck for each mount. Where a call came too late the box counts as
 * *hung* for a while, stuck or not (FUSE lets a waiting child die), so that a choice passes it
 * over.
 *
 * On a user's mount the child takes on that user's account before it does anything: the kernel lets
 * only that user enter, and what is written there reaches no process of ours that has more rights.
 *
 * The child keeps no descriptor but standard ones, its socket and those in `keep`. It must not
 * touch libcurl, databases or locks of the parent.
 */
#ifndef NAL_TIMEBOX_H
#define NAL_TIMEBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"

#define TIMEBOX_KEEP_MAX 3
#define TIMEBOX_HUNG_MS  60000 /* how long one call that came too late counts */

/* The account that a child takes on. */
struct timebox_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary ones */
	size_t group_count;
};

/* A box may be reused, one child at a time. */
struct timebox {
	int socket;       /* to the child; -1 when none runs */
	pid_t child;      /* 0 when none runs */
	pid_t stuck;      /* killed, and not gone yet; 0: none */
	uint64_t late_ms; /* when a call came too late, monotonic; 0: the last one came in time */
	const struct timebox_user *as; /* whose account the children have; borrowed. NULL: ours */
};

#define TIMEBOX_EMPTY        \
	{                    \
		.socket = -1 \
	}

/* What the child does; it writes to `socket` and returns. Its memory is a copy. */
typedef void timebox_fn(int socket, void *ctx);

enum timebox_result {
	TIMEBOX_DONE,  /* all that was asked for is there */
	TIMEBOX_LATE,  /* not in time */
	TIMEBOX_ENDED, /* the child ended without it */
};

/*
 * Start `work` in a child, which also keeps the descriptors `keep` (-1: none). ERR_NET_TIMEOUT
 * while an earlier child is stuck; ERR_IN_USE while one runs; ERR_IO if no child can be made.
 */
bool timebox_start(struct timebox *box, timebox_fn *work, void *ctx,
		   const int keep[TIMEBOX_KEEP_MAX], struct err *err) MUST_USE;

/* The class that such a fault of timebox_start means for the server: timeout, busy or unknown. */
enum nal_class timebox_start_class(const struct err *err);

/* Read exactly `size` bytes that the child wrote, waiting up to `timeout_ms` in all. */
enum timebox_result timebox_read(struct timebox *box, void *dst, size_t size, uint32_t timeout_ms)
	MUST_USE;

/* Read what is there, at least 1 byte and at most `size`, waiting up to `timeout_ms`. */
enum timebox_result timebox_read_some(size_t *got_out, struct timebox *box, void *dst, size_t size,
				      uint32_t timeout_ms) MUST_USE;

/* The same with `size` bytes and one descriptor, sent together; -1 in `fd_out` if none came. */
enum timebox_result timebox_read_fd(int *fd_out, struct timebox *box, void *dst, size_t size,
				    uint32_t timeout_ms) MUST_USE;

/*
 * Kill the child if it still runs, and reap it; one that is not gone within 50 ms is stuck. Nothing
 * happens where no child was started.
 */
void timebox_end(struct timebox *box);

/* True while a killed child is not gone; looks once more whether it is. */
bool timebox_is_stuck(struct timebox *box);

/* Note that a call was given up, or that one came in time. */
void timebox_came_late(struct timebox *box);
void timebox_came_in_time(struct timebox *box);

/* True while a child is stuck, and for TIMEBOX_HUNG_MS after a call that came too late. */
bool timebox_is_hung(struct timebox *box);

/* For the child: write all of `bytes`, with a descriptor unless it is -1; false if the parent is
 * gone. */
bool timebox_write(int socket, const void *bytes, size_t size, int pass_fd);

#endif
