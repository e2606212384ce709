/*
 * The record beside a version in the store: how much it holds, and whether its bytes are known to
 * be on the disk. docs/formats/store.md has the lines.
 *
 * A version is shown as soon as it is whole, and flushed behind. Until then its record names the
 * boot in which it was written: what a process of that boot wrote, every other process of it sees.
 * After another start the record says that the version has to be looked through.
 */
#ifndef CONTENT_STORERECORD_H
#define CONTENT_STORERECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

struct storerecord {
	uint64_t bytes;
	int64_t last_used_s; /* since 1970 */
	bool counts;         /* flushed, or written since the machine was started */
};

/* False: there is none, or it is damaged; then nothing is known of its version. */
bool storerecord_read(struct storerecord *out, const char *path) MUST_USE;

/* Write one for a version that is flushed. */
bool storerecord_write(const char *path, uint64_t bytes, struct err *err) MUST_USE;

/*
 * Write one for a version that is not, in the place of none: *fd_out is for storerecord_settle, and
 * the caller's to close.
 */
bool storerecord_begin(int *fd_out, const char *path, uint64_t bytes, struct err *err) MUST_USE;

/*
 * Say in that very record, wherever it is by now, that its version is flushed; when it was used
 * last stays. Flushes the record.
 */
bool storerecord_settle(int fd, struct err *err) MUST_USE;

/* The flush failed: have that very record say nothing, so that its version is looked through. */
void storerecord_doubt(int fd);

/* Remove one for good: no power cut brings it back. That there is none is fine. */
bool storerecord_remove(const char *path, const char *folder, struct err *err) MUST_USE;

#endif
