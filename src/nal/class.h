/*
 * What became of an attempt on a server: one named class per consequence. The names travel
 * unchanged into decision records, status messages and the log.
 *
 * PURE.
 */
#ifndef NAL_CLASS_H
#define NAL_CLASS_H

#include <stdbool.h>

#include "common/macros.h"

enum nal_class {
	NAL_CLASS_OK,
	NAL_CLASS_NOT_FOUND,       /* the server says that there is no such object */
	NAL_CLASS_CONTENT_MISSING, /* the server lacks what its listing promised; the site is told
				    */
	NAL_CLASS_WRONG_VERSION,   /* it holds another version */
	NAL_CLASS_DENIED,   /* that credential there: not tried again until configuration changes */
	NAL_CLASS_CONFLICT, /* another session or object stands in the way */
	NAL_CLASS_BUSY,     /* connection limit, 429, 503: next now, back off */
	NAL_CLASS_FULL,     /* no room for what is written, 507: next now, back off */
	NAL_CLASS_TIMEOUT,  /* silence past a deadline */
	NAL_CLASS_UNREACHABLE, /* refused, no route, no such name */
	NAL_CLASS_SLOW,        /* below the floor over a window */
	NAL_CLASS_CORRUPT,     /* bytes do not verify: quarantine for that object */
	NAL_CLASS_PROTOCOL,    /* what answers does not follow the rules */
	NAL_CLASS_UNKNOWN,     /* cannot be told; never taken for slow or absent */
	NAL_CLASS_COUNT_,
};

/* "ok", "content-missing", …; never NULL. */
const char *nal_class_name(enum nal_class what);

/* The class of a name; false where there is none. */
bool nal_class_parse(enum nal_class *out, const char *name) MUST_USE;

#endif
