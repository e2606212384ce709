/*
 * The marker of a system's folder: packway-dp.json or packway-cap.json at its root. It says whose
 * folder this is, so that a mount is used only after the system's UUID was read through it.
 *
 * The bytes come from a server and are hostile until something signed agrees with them. Format:
 * docs/formats/marker.md.
 *
 * PURE.
 */
#ifndef NAL_MARKER_H
#define NAL_MARKER_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define MARKER_BYTES_MAX 4096 /* a larger file is no marker */
#define MARKER_UUID_SIZE 37   /* with its terminator */
#define MARKER_NAME_SIZE 65   /* with its terminator */
#define MARKER_FORMAT    1    /* the one that is written */

enum marker_kind {
	MARKER_DP,
	MARKER_CAP,
	MARKER_KIND_COUNT_,
};

struct marker {
	enum marker_kind kind;
	char site[4];                /* the site's code, three of [A-Z0-9] */
	char uuid[MARKER_UUID_SIZE]; /* lower case */
	char name[MARKER_NAME_SIZE]; /* the system's name */
};

/* "dp" or "cap"; never NULL. */
const char *marker_kind_name(enum marker_kind kind);

/* The file's name in the folder: "packway-dp.json" or "packway-cap.json". */
const char *marker_file(enum marker_kind kind);

/*
 * Read a marker. Members that are not known are ignored; a format past MARKER_FORMAT is refused.
 *
 * Faults: ERR_LIMIT   larger than MARKER_BYTES_MAX
 *         ERR_FORMAT  anything else
 */
bool marker_parse(struct marker *out, struct span bytes, struct err *err) MUST_USE;

/* Append the marker's file as publish writes it. The fields must be valid (assert). */
void marker_write(struct buf *out, const struct marker *marker);

/* True if `uuid` (any case) is this marker's. */
bool marker_is(const struct marker *marker, const char *uuid);

#endif
