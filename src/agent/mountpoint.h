/*
 * Mounting a package, unmounting it, and what is left of a crash: asked for here, done by
 * packway-mount, which goes on serving as a process of its own.
 *
 * Links no FUSE: it is part of the supervisor.
 */
#ifndef AGENT_MOUNTPOINT_H
#define AGENT_MOUNTPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/job.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define MOUNTPOINT_HELPER    "packway-mount"
#define MOUNTPOINT_SOCKET_FD 3 /* where it answers, once */
#define MOUNTPOINT_TOKEN_FD  4 /* its end releases the mount; need not be there */
#define MOUNTPOINT_FUSE_FD   5 /* a user's mount that stands already, with --served-for */
#define MOUNTPOINT_OF_USER   4 /* mounts that one user may have served */

struct mountpoint_request {
	const char *package;
	int64_t version;                     /* 0: the newest that any DP holds */
	const char *at;                      /* absolute; NULL: a place of our own choosing */
	const char *manifest;                /* hash, as it is signed; NULL: the worker says it */
	const char *advertisement, *program; /* whom it is for; NULL: a command */
	bool keeps;                          /* made anew by the agent until it is unmounted */
	int fuse; /* descriptor of a mount that `user` has made and that is to be served; 0: none */
	uid_t user; /* whose ways count beyond the system's, where root acts for a user; 0: nobody's
		     */
};

/*
 * Mount, and return once it answers. The result has package, version, at, and `already` where the
 * same content was mounted there before.
 *
 * With `token_out` the mount lives as long as some process has that descriptor or what it was
 * copied to; the caller closes it. NULL: until it is unmounted.
 *
 * ERR_IN_USE names what is at that place; ERR_UNSUPPORTED: no FUSE here.
 */
bool mountpoint_mount(json_t **result_out, int *token_out, struct job *job,
		      const struct mountpoint_request *request, struct err *err) MUST_USE;

/*
 * The agent's verb `mount`, for users who have no say over the state: the caller has mounted by
 * fusermount3, with his own rights and at a place of his own, and passes FUSE's descriptor along
 * (job->passed). It is served until he unmounts; nothing of it is in the ledger. The request has
 * `package` and perhaps `version`.
 *
 * ERR_USAGE: what was passed is no FUSE descriptor. ERR_LOCKED: he has MOUNTPOINT_OF_USER already.
 */
bool mountpoint_serve(json_t **result_out, struct job *job, const json_t *request, struct err *err)
	MUST_USE;

/* Unmount what packway mounted at `at` (absolute). ERR_IN_USE, after some seconds, names who is in
 * it. */
bool mountpoint_unmount(json_t **result_out, struct job *job, const char *at, struct err *err)
	MUST_USE;

/* Undo mounts that nobody serves any more, and make those anew that are to be kept. Does not wait.
 */
void mountpoint_reconcile(struct job *job);

#endif
