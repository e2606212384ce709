/*
 * How content came, for a decision record and its sentence: by what, how much, in how many
 * requests, and what the next best would have taken.
 *
 *     "21.4 kB came as a patch in 2 requests, where ranges were 1.2 MB in 5"
 *
 * What content calls its kinds is repeated here by name alone, since nal knows nothing of content.
 *
 * PURE.
 */
#ifndef NAL_ARRIVAL_H
#define NAL_ARRIVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

enum arrival_how {
	ARRIVAL_UNKNOWN, /* nothing is said of it: no record of a transfer */
	ARRIVAL_NONE,    /* all was here: nobody was asked */
	ARRIVAL_RANGES,
	ARRIVAL_PATCH,
	ARRIVAL_STREAM,
	ARRIVAL_HOW_COUNT_,
};

struct arrival_cost {
	enum arrival_how how;
	uint64_t bytes;    /* read from servers, indexes included */
	uint64_t requests; /* for objects and ranges */
};

struct arrival {
	struct arrival_cost cost;
	struct arrival_cost instead; /* the next best; ARRIVAL_UNKNOWN: there was none */
	bool by_mount;               /* parts of it, as a mount asked for them */
};

/* "none", "ranges", "patch", "stream": the names of `fetch --json`; "unknown". */
const char *arrival_how_name(enum arrival_how how);

/* False: `text` is none of the names, or "unknown". */
bool arrival_how_parse(enum arrival_how *out, const char *text) MUST_USE;

/* Append the words, without an end. Nothing for ARRIVAL_UNKNOWN. */
void arrival_print(struct buf *out, const struct arrival *a);

/* Set the record's members `how`, `bytes_network`, `requests`, `instead`, `by_mount`; none of them
 * for ARRIVAL_UNKNOWN. */
void arrival_set(json_t *doc, const struct arrival *a);

/* The members of a record; without any, ARRIVAL_UNKNOWN. ERR_FORMAT. */
bool arrival_parse(struct arrival *out, const json_t *doc, struct err *err) MUST_USE;

#endif
