/*
 * From role names and target paths to file names and URLs.
 *
 * Names of roles and targets are hostile texts: everything but letters, digits and "_.-~" is
 * percent-encoded, so that no name can leave its folder or change a URL's meaning. Names of our own
 * site stay as they are. The site writes, and the client asks for, the very same paths.
 *
 * PURE.
 */
#ifndef TRUST_ROLENAME_H
#define TRUST_ROLENAME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"

#define ROLENAME_MAX \
	200 /* bytes of a role's name once encoded: with version and .json one file name */
#define ROLENAME_PATH_MAX 2048 /* bytes of a target's path as listed */

/*
 * True if `name` can stand for a delegated role: not empty, no top-level role's name, at most
 * ROLENAME_MAX bytes when encoded.
 */
bool rolename_is_delegated(const char *name);

/* The local file of a role, "snapshot.json": unversioned, never hidden. The caller frees it. */
char *rolename_file(const char *name) MUST_USE;

/*
 * The path of a role below the metadata base: "3.snapshot.json", or "snapshot.json" for `version`
 * 0 (timestamp, or a repository without consistent snapshots). The caller frees it.
 */
char *rolename_url(const char *name, int64_t version) MUST_USE;

/*
 * The path of a target below the targets base: "dir/HASH.base" for "dir/base", or the plain path
 * where `hash_hex` is NULL. NULL if the path is empty, longer than ROLENAME_PATH_MAX, or has an
 * empty, "." or ".." component: no such target can be asked for. The caller frees it.
 */
char *rolename_target_url(const char *path, const char *hash_hex) MUST_USE;

/*
 * One file name for a target, "dir%2Fbase", for a folder that holds nothing but targets. Long paths
 * are cut and end with the hash of the whole. The caller frees it.
 */
char *rolename_target_file(const char *path) MUST_USE;

#endif
