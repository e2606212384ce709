/*
 * The part of the assembler that takes a patch or a first-install stream where that is cheaper than
 * ranges of packs. For assemble.c.
 */
#ifndef CONTENT_ASSEMBLE_DELTA_H
#define CONTENT_ASSEMBLE_DELTA_H

#include "common/error.h"
#include "common/macros.h"
#include "content/assemble.h"

/* What became of it. Only a file that is not the listed one is held against its server. */
enum assemble_delta {
	ASSEMBLE_DELTA_DONE,
	ASSEMBLE_DELTA_USELESS, /* go on with ranges */
	ASSEMBLE_DELTA_ENDED,   /* see the result */
};

/*
 * After the ranges were planned: try the patch or stream that is cheaper than they are, if there is
 * one. With ASSEMBLE_DELTA_ENDED `*result_out` says why, and `err` is filled unless it is
 * ASSEMBLE_DONE.
 */
enum assemble_delta assemble_delta_fetch(enum assemble_result *result_out, struct assemble *a,
					 const struct transfer_source *source, struct err *err)
	MUST_USE;

#endif
