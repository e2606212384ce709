/*
 * Where something is: smb://host[:port]/share/path, http(s)://host[:port]/path, nfs://host/path,
 * file:///path, and a plain absolute path where a person may write one.
 *
 * A locator names a folder, so a trailing slash means nothing. Its text is kept byte for byte as it
 * was given; everything else is the decoded, normal form that comparisons use. Refused are
 * credentials in the text, control characters, "." and ".." components however they are encoded,
 * encoded slashes, queries and fragments.
 *
 *     struct locator where = { 0 };
 *     locator_parse(&where, text, err) … locator_release(&where)
 *
 * PURE.
 */
#ifndef NAL_LOCATOR_H
#define NAL_LOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"

#define LOCATOR_TEXT_MAX 2048 /* bytes of a locator's text */
#define LOCATOR_HOST_MAX 253  /* bytes of a host's name */

enum locator_scheme {
	LOCATOR_FILE,
	LOCATOR_HTTP,
	LOCATOR_HTTPS,
	LOCATOR_SMB,
	LOCATOR_NFS, /* met as a mount only */
	LOCATOR_SCHEME_COUNT_,
};

struct locator {
	enum locator_scheme scheme;
	char *text;    /* as it was given */
	char *host;    /* lower case, IPv6 without brackets; "" for file */
	uint16_t port; /* as given, or the scheme's own; 0 for file */
	char *share;   /* smb: the first component as given; else "" */
	char *path; /* decoded, without a trailing slash: "/" or "/a/b"; for smb below the share */
};

/*
 * Parse a URL. On success `out`, which must be empty, owns memory until locator_release.
 *
 * Faults: ERR_UNSUPPORTED  a scheme that we do not know, or one of NetWare's
 *         ERR_REFUSED      credentials in the text (which is then not repeated in the fault)
 *         ERR_LIMIT, ERR_FORMAT
 */
bool locator_parse(struct locator *out, const char *text, struct err *err) MUST_USE;

/* The same for what a person typed: a plain absolute path is taken as a file locator too. */
bool locator_parse_argument(struct locator *out, const char *text, struct err *err) MUST_USE;

void locator_release(struct locator *loc);
SCOPED_RELEASE(locator);

/* A copy that owns its own memory; `out` must be empty. */
void locator_copy(struct locator *out, const struct locator *loc);

/* "smb", "http", … ; never NULL. */
const char *locator_scheme_name(enum locator_scheme scheme);

/*
 * The normal form as a URL: lower-case scheme and host, no default port, no trailing slash, percent
 * encoding only where it is needed. The caller frees it.
 */
char *locator_url(const struct locator *loc) MUST_USE;

/*
 * The URL of `relative` beneath the locator, encoded; the caller frees it. `relative` is decoded
 * text with components separated by single slashes. ERR_FORMAT if it would leave the locator.
 */
bool locator_join(char **out, const struct locator *loc, const char *relative, struct err *err)
	MUST_USE;

/* Append `text` with everything but letters, digits and "-._~/" as %XX. */
void locator_encode(struct buf *out, const char *text);

/* Decode %XX in place of a whole text; false for a bad escape or %00. The caller frees `*out`. */
bool locator_decode(char **out, struct span text) MUST_USE;

/* True if both name the same machine, whatever the scheme and port. Never for file. */
bool locator_same_host(const struct locator *a, const struct locator *b);

/* True if scheme, host and port are the same. Two file locators are on one server. */
bool locator_same_server(const struct locator *a, const struct locator *b);

/* True if server and share are the same; for schemes without shares as locator_same_server. */
bool locator_same_share(const struct locator *a, const struct locator *b);

/*
 * True if `inner` is `outer` or lies beneath it, on the same server and share. Paths of smb are
 * compared without regard to ASCII case, others exactly.
 */
bool locator_covers(const struct locator *outer, const struct locator *inner);

/* True if both are the same place. */
bool locator_equal(const struct locator *a, const struct locator *b);

/*
 * What is left of `inner` beneath `outer`, which must cover it: "" or "/sub/path". Borrowed from
 * `inner`.
 */
const char *locator_below(const struct locator *outer, const struct locator *inner);

#endif
