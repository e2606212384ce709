/*
 * The installed packages of Debian's package manager, out of its status file.
 *
 * The file belongs to others: lines and fields have limits, damaged paragraphs are passed over.
 *
 * PURE.
 */
#ifndef AGENT_DPKG_H
#define AGENT_DPKG_H

#include <stdbool.h>

#include "common/macros.h"
#include "common/span.h"

#define DPKG_TEXT_MAX 256

struct dpkg_package {
	char name[DPKG_TEXT_MAX];
	char version[DPKG_TEXT_MAX];
	char arch[DPKG_TEXT_MAX];
};

/*
 * Take the next installed package. Packages in another state, and paragraphs without a name and
 * version or with one longer than DPKG_TEXT_MAX - 1 or not UTF-8, are skipped. False at the end.
 */
bool dpkg_next(struct span *rest, struct dpkg_package *out) MUST_USE;

#endif
