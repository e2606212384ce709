/*
 * The file system that a mount shows: a manifest's folders, files and links, read-only, served by
 * FUSE's low-level interface on several threads.
 */
#ifndef AGENT_MOUNTVIEW_H
#define AGENT_MOUNTVIEW_H

#include <stdbool.h>

#include "agent/mountread.h"
#include "common/error.h"
#include "common/macros.h"
#include "content/manifest.h"

struct mountview_params {
	const struct manifest *manifest;
	struct mountread *read;
	const char *source;       /* what the mount table shows as the device */
	const char *at;           /* where */
	bool for_all;             /* others than the mount's user may read what its modes allow */
	void (*ready)(void *ctx); /* called once, when it answers */
	void *ctx;
};

struct mountview;

/* Mount. All of `params` is borrowed until the close. ERR_UNSUPPORTED: this machine has no FUSE. */
bool mountview_open(struct mountview **out, const struct mountview_params *params, struct err *err)
	MUST_USE;

/* Serve until it is unmounted, or a signal asks the process to end. */
bool mountview_serve(bool *was_signalled, struct mountview *v, struct err *err) MUST_USE;

/* Unmount, if it is not yet. */
void mountview_close(struct mountview *v);

/* False, with words, where FUSE cannot be used on this machine. */
bool mountview_is_possible(struct err *err) MUST_USE;

#endif
