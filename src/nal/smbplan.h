/*
 * Which bytes to ask an SMB server for: ranges that lie close together are read as one, since a
 * round trip costs more than the bytes between them, and long ones in pieces.
 *
 *     smbplan_init → { smbplan_next … } and, piece after piece in the same order, smbplan_deliver
 *
 * PURE.
 */
#ifndef NAL_SMBPLAN_H
#define NAL_SMBPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/span.h"
#include "nal/way.h"

#define SMBPLAN_GAP_MIN  ((uint64_t)64 << 10) /* not worth a round trip anywhere */
#define SMBPLAN_GAP_MAX  ((uint64_t)4 << 20)  /* never more is read in vain at one place */
#define SMBPLAN_HANDOVER ((size_t)256 << 10)  /* a sink gets no more at once */

struct smbplan {
	const struct way_range *ranges;
	size_t count;
	uint64_t gap_max; /* bytes between two ranges that are read along */
	size_t at;        /* the range that is asked for next */
	uint64_t from;    /* nothing before that byte is asked for again */
	size_t got;       /* the range that is delivered next */
	uint64_t got_of;  /* bytes of it that were delivered */
};

/* `ranges` ascend, do not overlap, and are borrowed for as long as the plan is used. */
void smbplan_init(struct smbplan *p, const struct way_range *ranges, size_t count,
		  uint64_t gap_max);

/* Where the next piece begins; false: all was asked for. */
bool smbplan_peek(uint64_t *offset_out, const struct smbplan *p);

/* The next piece, at most `piece_max` bytes; false: all was asked for. */
bool smbplan_next(struct smbplan *p, struct way_range *out, uint64_t piece_max);

/* Hand on what of a piece's bytes belongs to ranges. False: the sink wants no more. */
bool smbplan_deliver(struct smbplan *p, uint64_t offset, struct span bytes, way_sink_fn *sink,
		     void *ctx);

/* The gap that takes as long as a round trip; zeros: not known. */
uint64_t smbplan_gap(uint64_t bytes_per_s, uint32_t rtt_us);

#endif
