/*
 * Judging how fast an answer arrives: silence before the first byte, silence later, and a rate
 * below the floor over a sliding window.
 *
 *     pace_begin → { pace_check, wait at most pace_wait_ms, pace_arrived, pace_away }
 *
 * Time that we spent elsewhere ourselves (writing to a disk, keeping a rate) is taken out by
 * pace_away, so that a slow client never blames the server.
 *
 * PURE.
 */
#ifndef NAL_PACE_H
#define NAL_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"
#include "nal/way.h"

#define PACE_SLOTS 10 /* the window is judged in steps of a tenth */

enum pace_verdict {
	PACE_FINE,
	PACE_SILENT,  /* not one byte within first_byte_ms */
	PACE_STALLED, /* nothing at all for a whole window */
	PACE_SLOW,    /* something, but less than the floor over a whole window */
};

struct pace {
	struct way_limits limits;
	uint64_t begun_ms;
	uint64_t away_ms;               /* spent elsewhere since the begin */
	bool arrived;                   /* the first byte came */
	uint64_t first_ms;              /* when, in active time */
	uint64_t slot;                  /* number of the newest slot */
	uint64_t bytes[PACE_SLOTS + 1]; /* by slot number, modulo; the newest is not full yet */
};

/* Start judging; texts of `limits` are not kept. */
void pace_begin(struct pace *p, const struct way_limits *limits, uint64_t now_ms);

/* So many bytes arrived (0 counts as a sign of life before the first byte only). */
void pace_arrived(struct pace *p, uint64_t bytes, uint64_t now_ms);

/* The last `ms` were ours, not the server's. */
void pace_away(struct pace *p, uint64_t ms);

enum pace_verdict pace_check(struct pace *p, uint64_t now_ms);

/* After how many ms the verdict may change without an arrival; at least 1, at most 1,000. */
uint32_t pace_wait_ms(const struct pace *p, uint64_t now_ms);

#endif
