/*
 * How the stream of one version is made from that of another: copies of stretches of the old stream
 * that are right but for some bytes, and new bytes between them. A rebuilt program differs from the
 * old one in thousands of addresses, so a copy goes on across bytes that differ for as long as most
 * of them agree; that is what a compressor's exact matches cannot do.
 *
 * Stretches are found by hashes of 16 bytes: those of every position in the file that is the likely
 * origin, those of every 16th position in the whole old stream. The walk along the new
 * stream follows the idea of C. Percival, "Naive differences of executable code" (2003), with a
 * hash table in place of the suffix array: memory is a fraction of the old stream, not a multiple.
 *
 * PURE. The result depends on the input alone.
 */
#ifndef CONTENT_DELTA_H
#define CONTENT_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define DELTA_MEMORY_MIN ((uint64_t)1 << 20) /* for the tables; with less, this much is used */

/* `copy_size` new bytes made from as many old ones, then `insert_size` that come from nowhere. */
struct delta_op {
	uint64_t old_offset; /* 0 where nothing is copied */
	uint64_t copy_size;
	uint64_t insert_size;
};

/* A part of the new stream, and the part of the old one that it probably comes from. */
struct delta_file {
	uint64_t new_size; /* begins where the file before ends */
	uint64_t old_offset;
	uint64_t old_size; /* 0: nobody knows */
};

struct delta_input {
	struct span old_stream; /* empty: everything is inserted */
	struct span new_stream;
	const struct delta_file *files; /* their sizes add up to the new stream */
	size_t file_count;
	uint64_t memory_max; /* bytes for tables; a low figure costs size, never correctness */
};

/* Takes one operation; false, with err, ends the making. */
typedef bool delta_op_fn(const struct delta_op *op, void *ctx, struct err *err);

/* Call `op` for each operation, in the order of the new stream. False only if `op` said so. */
bool delta_make(const struct delta_input *in, delta_op_fn *op, void *ctx, struct err *err) MUST_USE;

#endif
