/*
 * A package's versions side by side: what differs between two of them and what an update costs, and
 * which clients have which.
 */
#ifndef SITE_VERSIONS_H
#define SITE_VERSIONS_H

#include <jansson.h>

#include "site/site.h"

/*
 * {"package","from","to","added","removed","changed","renamed","unchanged","bytes_ranges",
 * "requests","bytes_patch","patch","changes":[{"change","type","path","was","size","size_before",
 * "what"}]}; the caller owns it. `patch` is "made" or why there is none, "bytes_patch" null then.
 * Reads content only where manifests leave it open whether two files are the same; that takes as
 * much of the disk as both versions have bytes, for as long as it lasts.
 *
 * ERR_NOT_FOUND: no such package or version, or its content has left the library.
 */
bool versions_compare(json_t **out, struct site *site, const char *package, int64_t from,
		      int64_t to, struct err *err) MUST_USE;

/*
 * Rows, oldest first: {"version","state","files","bytes","bytes_new","clients","succeeded","dps",
 * "bytes_stream","patches":[{"from","bytes"}],"created"}. `clients` are enrolled ones of whose
 * messages of the package (fetched 11003, succeeded 10008) the newest names the version;
 * `succeeded` those whose newest success does. The caller owns them.
 */
bool versions_list(json_t **out, struct site *site, const char *package, struct err *err) MUST_USE;

#endif
