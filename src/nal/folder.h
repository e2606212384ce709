/*
 * Opening a system's folder, on whatever file system, within a time box: the folder itself, whether
 * I/O beneath it may hang, and its marker, which says whose folder it is.
 *
 *     folder_begin → { wait for folder_fd, folder_step } until it is no longer FOLDER_BUSY
 *     → folder_take → folder_release
 *
 * Nothing blocks but folder_wait. Linux only.
 */
#ifndef NAL_FOLDER_H
#define NAL_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/marker.h"
#include "nal/timebox.h"
#include "nal/way.h"

enum folder_state {
	FOLDER_BUSY,
	FOLDER_OPEN,   /* folder_take gives it */
	FOLDER_FAILED, /* folder_fault says why */
};

struct folder {
	struct timebox *box;
	char *dir;
	enum way_marker_rule rule;
	enum marker_kind kind;
	char uuid[MARKER_UUID_SIZE]; /* "": any */
	uint32_t timeout_ms;
	uint64_t begun_ms;
	enum folder_state state;
	struct way_link link;
	bool has_marker;
	struct marker marker; /* if has_marker */
	enum nal_class class;
	struct err err;
};

/* The local folder that a target means: the mount point's, or the file locator's path. Borrowed. */
const char *folder_of(const struct way_target *target);

/*
 * Start opening the target's folder in `box`, which outlives the folder and keeps a child that
 * hangs. `f` is overwritten.
 */
void folder_begin(struct folder *f, const struct way_target *target, struct timebox *box,
		  uint32_t timeout_ms, uint64_t now_ms);

/* Give up what is under way and free. A zeroed folder is fine. */
void folder_release(struct folder *f);
SCOPED_RELEASE(folder);

/* The descriptor to wait for (readable); -1 when there is nothing to wait for. */
int folder_fd(const struct folder *f);

/* In how many ms folder_step has something to do in any case. */
uint32_t folder_wait_ms(const struct folder *f, uint64_t now_ms);

/* Go on without waiting. */
enum folder_state folder_step(struct folder *f, uint64_t now_ms);

/* After FOLDER_OPEN: the open folder. */
struct way_link folder_take(struct folder *f);

/*
 * After FOLDER_FAILED: why. NAL_CLASS_NOT_FOUND: no such folder, no marker where one is needed, or
 * another system's; NAL_CLASS_TIMEOUT: it hangs; NAL_CLASS_DENIED; NAL_CLASS_PROTOCOL: no marker.
 */
enum nal_class folder_fault(const struct folder *f, struct err *err);

/* The whole of it, blocking; `f` is for looking at the marker and to be released in any case. */
enum nal_class folder_wait(struct folder *f, const struct way_target *target, struct timebox *box,
			   uint32_t timeout_ms, struct err *err) MUST_USE;

/* The class of an errno of file-system calls, with its words in `err` (about `name`). */
enum nal_class folder_errno_class(int sys_errno, const char *name, struct err *err);

#endif
