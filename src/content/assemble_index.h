/*
 * The index of an assembly's version: kept from an interrupted run, or from the source.
 */
#ifndef CONTENT_ASSEMBLE_INDEX_H
#define CONTENT_ASSEMBLE_INDEX_H

#include "common/error.h"
#include "common/macros.h"
#include "content/assemble_work.h"

/* Have `a->index`, at most once. ASSEMBLE_CORRUPT: it is not the one that the location names. */
enum assemble_result assemble_index_get(struct assemble *a, const struct transfer_source *source,
					struct err *err) MUST_USE;

#endif
