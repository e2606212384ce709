/*
 * Which file of an old version each file of a new one probably comes from, for delta.h: the one of
 * the same path, else one that shares a chunk with it, else the likeliest name. A guess: a wrong
 * one costs size, never correctness.
 *
 * PURE.
 */
#ifndef CONTENT_PAIRING_H
#define CONTENT_PAIRING_H

#include <stddef.h>

#include "common/macros.h"
#include "content/delta.h"
#include "content/manifest.h"

/*
 * One row for each file that has bytes in the new stream, in the stream's order; `old` NULL:
 * nothing comes from anywhere. The caller frees the rows.
 */
struct delta_file *pairing_find(size_t *count_out, const struct manifest *new,
				const struct manifest *old) MUST_USE;

#endif
