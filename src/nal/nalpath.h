/*
 * SMS 2.0's NAL paths:
 *
 *     ["Display=\\S\"]MSWNET:["SMS_SITE=LON","PREFERRED"]\\S\SMSPKGD$\LON00001\
 *     provider qualifiers, provider, machine qualifiers, path
 *
 * A qualifier is a quoted KEY=VALUE or a bare flag; keys are compared without regard to case;
 * backslashes inside quotes stand for themselves. A path that ends with a backslash is a container.
 * The text is kept and printed back byte for byte.
 *
 * PURE.
 */
#ifndef NAL_NALPATH_H
#define NAL_NALPATH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "nal/locator.h"

#define NALPATH_TEXT_MAX       2048
#define NALPATH_QUALIFIERS_MAX 16 /* of each of the two lists */

enum nalpath_provider {
	NALPATH_MSWNET,  /* Windows networking: smb */
	NALPATH_NWBIND,  /* NetWare bindery: parsed, printed, refused as a place */
	NALPATH_NWNDS,   /* NetWare directory services: likewise */
	NALPATH_LOCAL,   /* a folder of this machine */
	NALPATH_GENERIC, /* a UNC path without a provider of its own: smb */
	NALPATH_PROVIDER_COUNT_,
};

struct nalpath_qualifier {
	char *key;
	char *value; /* NULL: a bare flag */
};

struct nalpath_qualifiers {
	struct nalpath_qualifier items[NALPATH_QUALIFIERS_MAX];
	size_t count;
	bool is_written; /* the brackets are there, perhaps with nothing between them */
};

struct nalpath {
	enum nalpath_provider provider;
	char *provider_text; /* as it was written; "" for a bare UNC path, which is GENERIC */
	struct nalpath_qualifiers provider_qualifiers;
	struct nalpath_qualifiers machine_qualifiers;
	char *path;        /* from the first backslash, or drive, on; as it was written */
	bool is_container; /* it ends with a backslash */
};

/* Parse a NAL path or a bare UNC path. `out` must be empty. ERR_FORMAT, ERR_LIMIT, ERR_UNSUPPORTED
 * for a provider that SMS did not have. */
bool nalpath_parse(struct nalpath *out, const char *text, struct err *err) MUST_USE;
void nalpath_release(struct nalpath *path);
SCOPED_RELEASE(nalpath);

/* Append the text, built from the parts: the same bytes that were parsed. */
void nalpath_print(struct buf *out, const struct nalpath *path);

/*
 * The locator of the place: smb for MSWNET and GENERIC, file for LOCAL. NetWare providers are
 * ERR_UNSUPPORTED by name; a drive letter is too, since Linux has none. `out` must be empty.
 */
bool nalpath_locator(struct locator *out, const struct nalpath *path, struct err *err) MUST_USE;

/* The qualifier of a key, or NULL; borrowed. */
const struct nalpath_qualifier *nalpath_find(const struct nalpath_qualifiers *list,
					     const char *key);

/* "MSWNET", …; never NULL. */
const char *nalpath_provider_name(enum nalpath_provider provider);

#endif
