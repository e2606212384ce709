/*
 * Frames between our own processes: a 32-bit little-endian length and that many bytes, over a
 * stream socket, perhaps with one descriptor attached (SCM_RIGHTS).
 *
 * The length is checked against WIRE_FRAME_MAX before anything is read. Documents travel as JSON
 * in a frame; see docs/formats/worker.md for what they say.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "common/span.h"

#define WIRE_FRAME_MAX (8u << 20)

enum wire_result {
	WIRE_FRAME,   /* a whole frame was read */
	WIRE_END,     /* the peer closed between two frames */
	WIRE_TIMEOUT, /* nothing began to arrive in time */
	WIRE_FAILED,  /* broken in mid-frame, too large, or a system fault: see err */
};

/* Send one frame; `pass_fd` of -1 sends none and is not taken over. Blocks until it is written. */
bool wire_send(int socket, struct span frame, int pass_fd, struct err *err) MUST_USE;

/*
 * Read one frame into `out` (cleared first), waiting up to `timeout_ms` for its first byte
 * (-1: for ever) and 30 s for all of the rest. A passed descriptor is stored in `fd_out`, which the
 * caller closes; with NULL it is closed at once; *fd_out is -1 where none came.
 */
enum wire_result wire_receive(struct buf *out, int *fd_out, int socket, int timeout_ms,
			      struct err *err) MUST_USE;

/* The same with one JSON document; the caller owns `*doc_out`. */
bool wire_send_json(int socket, const json_t *doc, int pass_fd, struct err *err) MUST_USE;
enum wire_result wire_receive_json(json_t **doc_out, int *fd_out, int socket, int timeout_ms,
				   struct err *err) MUST_USE;

/* Two connected stream sockets, close-on-exec. */
bool wire_pair(int sockets_out[2], struct err *err) MUST_USE;

#endif
