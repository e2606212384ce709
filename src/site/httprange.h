/*
 * The parts of HTTP that a file server decides by itself: ranges and conditions.
 *
 * PURE.
 */
#ifndef SITE_HTTPRANGE_H
#define SITE_HTTPRANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"

enum httprange_result {
	HTTPRANGE_WHOLE,         /* no range, several, or one that is no range: send everything */
	HTTPRANGE_PART,          /* bytes [first, first + size) */
	HTTPRANGE_UNSATISFIABLE, /* begins behind the end */
};

/* Read a Range header (NULL: none) for an object of `total` bytes. */
enum httprange_result httprange_parse(uint64_t *first_out, uint64_t *size_out, const char *header,
				      uint64_t total);

/* True if an If-None-Match or If-Match list holds `etag` (weak marks are ignored) or "*". */
bool httprange_etag_matches(const char *list, const char *etag);

#endif
