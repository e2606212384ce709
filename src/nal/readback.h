/*
 * Reads a file back while it is still being written, on a thread of its own.
 *
 *     readback_begin → readback_grew … → readback_finish or readback_drop
 *
 * What comes back is what the file system has under the descriptor, as it would be after the
 * writing; it says nothing about a disk that fails later, which the flush does. For files on local
 * disks: a read is not timed out.
 */
#ifndef NAL_READBACK_H
#define NAL_READBACK_H

#include <stdint.h>

#include "common/macros.h"
#include "nal/way.h"

struct readback;

/*
 * Read back what is written to `fd`, open for reading as well, from its beginning, and give it to
 * `back`. NULL where there is no thread to be had, or no `back`: all calls accept that, and nothing
 * is read.
 */
struct readback *readback_begin(int fd, way_back_fn *back, void *ctx) MUST_USE;

/* So many more bytes have been written. */
void readback_grew(struct readback *r, uint64_t bytes);

/* Wait until all that was written has been read, or `back` wants no more; frees. */
void readback_finish(struct readback *r);

/* End soon; frees. */
void readback_drop(struct readback *r);

#endif
