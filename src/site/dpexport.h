/*
 * What a DP shall hold, in a folder: for a stick, or for an rsync to a NAS that the site cannot, or
 * shall not, write to. Also seeds a DP at the end of a thin line: what stands there is read back
 * and not copied again.
 */
#ifndef SITE_DPEXPORT_H
#define SITE_DPEXPORT_H

#include <jansson.h>

#include "site/site.h"

enum dpexport_scope {
	DPEXPORT_ALL,    /* the marker, and every object that the DP shall hold */
	DPEXPORT_MARKER, /* the marker only */
};

/*
 * Fill `folder`, which is made where it is missing; objects that stand there in their full size are
 * left alone, so that an export that was stopped goes on. {"dp","folder","objects","copied",
 * "bytes"}: `bytes` of what was copied now; the caller owns it.
 *
 * ERR_NOT_FOUND: no such DP; ERR_REFUSED: the folder is marked as that of another system;
 * ERR_DISK_FULL, ERR_IO.
 */
bool dpexport_run(json_t **out, struct site *site, const char *dp, const char *folder,
		  enum dpexport_scope scope, struct err *err) MUST_USE;

#endif
