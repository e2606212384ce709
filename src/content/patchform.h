/*
 * What writer and reader of patch files agree on: docs/formats/patch.md.
 *
 * PURE.
 */
#ifndef CONTENT_PATCHFORM_H
#define CONTENT_PATCHFORM_H

#include <stdint.h>

#include "common/macros.h"

#define PATCHFORM_MAGIC       "PWPT"
#define PATCHFORM_MAGIC_SIZE  4
#define PATCHFORM_FORMAT      1
#define PATCHFORM_STREAM_MAX  ((uint64_t)1 << 40) /* bytes of a stream */
#define PATCHFORM_SEGMENT_MAX (8u << 20)          /* new bytes that are described at once */
#define PATCHFORM_BLOCK_MAX   (9u << 20)          /* compressed bytes of one part of a segment */
#define PATCHFORM_SAME_MIN    4 /* fewer unchanged bytes do not end a run of changes */

/* The parts of a segment; each is one zstd frame over the whole file. */
enum patchform_part {
	PATCHFORM_CONTROL, /* operations */
	PATCHFORM_RUNS,    /* which bytes of the copies change */
	PATCHFORM_CHANGES, /* by how much */
	PATCHFORM_INSERTS, /* bytes that come from nowhere */
	PATCHFORM_PART_COUNT_,
};

static const char *const patchform_part_names[] = {
	[PATCHFORM_CONTROL] = "control",
	[PATCHFORM_RUNS] = "runs",
	[PATCHFORM_CHANGES] = "changes",
	[PATCHFORM_INSERTS] = "inserts",
};
static_assert(COUNT_OF(patchform_part_names) == PATCHFORM_PART_COUNT_, "every part has a name");

/* The windows: most of a reader's memory. */
static const int patchform_window_log[] = {
	[PATCHFORM_CONTROL] = 20,
	[PATCHFORM_RUNS] = 22,
	[PATCHFORM_CHANGES] = 22,
	[PATCHFORM_INSERTS] = 26,
};
static_assert(COUNT_OF(patchform_window_log) == PATCHFORM_PART_COUNT_, "every part has a window");

#endif
