/*
 * Ways: the concrete means to reach an address of a site system, and how well an open one fits it.
 *
 * PURE.
 */
#ifndef NAL_WAYKIND_H
#define NAL_WAYKIND_H

#include <stdbool.h>

#include "common/macros.h"

enum waykind {
	WAYKIND_NEW,     /* nothing is open yet */
	WAYKIND_MOUNT,   /* the content's path can be read beneath an OS mount */
	WAYKIND_SESSION, /* a connection that this process or the agent holds open */
	WAYKIND_COUNT_,
};

/* What an open connection or mount says about an address; more is better. */
enum waykind_evidence {
	WAYKIND_EVIDENCE_NONE,
	WAYKIND_EVIDENCE_SERVER, /* another share of the same server */
	WAYKIND_EVIDENCE_SHARE,  /* the same share, but the content does not lie beneath it */
	WAYKIND_EVIDENCE_PATH,   /* the content can be reached through it */
	WAYKIND_EVIDENCE_COUNT_,
};

/* "new", "mount", "session"; never NULL. */
const char *waykind_name(enum waykind way);
bool waykind_parse(enum waykind *out, const char *name) MUST_USE;

/* "none", "same-server", "same-share", "same-path"; never NULL. */
const char *waykind_evidence_name(enum waykind_evidence evidence);

#endif
