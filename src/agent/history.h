/*
 * Records that the site has, for looking back: the segments that a receipt has covered, in the
 * folder `done` of an outbox, as "TIME-STREAM-FIRST.log". `outbox_dir` is the outbox's folder,
 * whose lock the caller holds where something changes.
 */
#ifndef AGENT_HISTORY_H
#define AGENT_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define HISTORY_SEGMENTS_MAX 16

/* Move a segment's file in. */
bool history_keep(const char *outbox_dir, const char *log, const char *stream, uint64_t first,
		  struct err *err) MUST_USE;

/* Delete the oldest, down to HISTORY_SEGMENTS_MAX. */
void history_prune(const char *outbox_dir);

/* Append all records that are kept to the array `to`, oldest first. What cannot be read is left
 * out. */
void history_list(json_t *to, const char *outbox_dir);

/* Append the records of a segment's bytes, each with its "stream" and "sequence". */
void history_put_segment(json_t *to, struct span bytes, const char *stream, uint64_t first);

#endif
