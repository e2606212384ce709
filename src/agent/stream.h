/*
 * The records of one stream, in the order of their numbers: segments in a folder of its own.
 *
 * The last segment is open, the others are whole and never change. A record that stream_append has
 * taken is on disk; what a kill has torn at the end goes at the next stream_open. Beside FIRST.log,
 * a segment's records, stands what else belongs to it under the same number
 * (docs/formats/outbox.md).
 *
 * One process at a time: the outbox has the lock. No cryptography.
 */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/segment.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define STREAM_ID_SIZE             33 /* 32 hexadecimal digits and their terminator */
#define STREAM_FOLDER_MODE         0700
#define STREAM_FILE_MODE           0600
#define STREAM_SEGMENT_RECORDS_MAX 200                  /* records of one envelope */
#define STREAM_SEGMENT_BYTES_MAX   ((size_t)1000 << 10) /* they fit one envelope */
#define STREAM_SEGMENT_FILE_MAX    (STREAM_SEGMENT_BYTES_MAX + SEGMENT_JSON_MAX + 4096)

struct stream {
	char *dir;
	uint64_t *firsts; /* number of each segment's first record; ascending, never empty */
	size_t count;
	int fd;          /* the last segment */
	uint64_t end;    /* its size up to here is good */
	uint64_t next;   /* the number of the next record */
	uint64_t bytes;  /* of all files in the folder … */
	uint64_t beside; /* … and of those among them that are no segments */
};

/* Open the stream in the folder `dir`; an absent one is made, and begins with number 1. Files that
 * belong to no segment are removed. On failure `s` is still to be closed. */
bool stream_open(struct stream *s, const char *dir, struct err *err) MUST_USE;
void stream_close(struct stream *s);

enum stream_sync {
	STREAM_SYNC,
	STREAM_LATER, /* the caller flushes s->fd once for many */
};

/* Give the record the number s->next. A full segment is followed by another. */
bool stream_append(struct stream *s, struct span key, struct span json, enum stream_sync sync,
		   struct err *err) MUST_USE;

/* Start the segment whose first record is the next one. What was last is whole from here on. */
bool stream_start_segment(struct stream *s, struct err *err) MUST_USE;

/* How many records the open segment has. */
uint64_t stream_open_count(const struct stream *s);

/* The number of the last record of segment `i`. Bytes behind it are left-overs of a failed append.
 */
uint64_t stream_last(const struct stream *s, size_t i);

/* The bytes of segment `i`, which replace what `out` held: for segment_take. */
bool stream_read_segment(struct buf *out, const struct stream *s, size_t i, struct err *err)
	MUST_USE;

/* "DIR/0000000000000001.kind"; the caller frees it. */
char *stream_file(const struct stream *s, uint64_t first, const char *kind) MUST_USE;

/* "0000000000000001.log" → 1 and "log" (borrowed from `name`); false for other names. */
bool stream_parse_name(uint64_t *first_out, const char **kind_out, const char *name);

/* True for 32 hexadecimal digits. */
bool stream_is_id(const char *text);

/* Bytes of a file; 0 where there is none. */
uint64_t stream_file_size(const char *path);

#endif
