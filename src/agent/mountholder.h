/*
 * Who holds a mount point: what is mounted there already, and which processes are in it.
 */
#ifndef AGENT_MOUNTHOLDER_H
#define AGENT_MOUNTHOLDER_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"

#define MOUNTHOLDER_FSTYPE "fuse.packway"

/* The topmost mount at exactly that folder. Texts are owned. */
struct mountholder {
	bool is_mounted;
	bool is_ours; /* a mount of packway, made by this user; nobody else can make it look so */
	char *source;
	char *fstype;
};

/* Look at the kernel's table, at nothing that is mounted. */
bool mountholder_look(struct mountholder *out, const char *at, struct err *err) MUST_USE;
void mountholder_release(struct mountholder *h);
SCOPED_RELEASE(mountholder);

/*
 * The processes that have their folder, program or an open file in the folder `at`, for people:
 * "sh (process 12), cat (process 14)". The caller frees it; NULL: none is seen.
 */
char *mountholder_processes(const char *at) MUST_USE;

/* Unmount `at` if nobody is in it. ERR_IN_USE: somebody is, and is named. */
bool mountholder_unmount(const char *at, struct err *err) MUST_USE;

/* Out of sight at once, and gone when the last one lets go: for what nobody serves any more. */
void mountholder_detach(const char *at);

#endif
