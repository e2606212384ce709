/*
 * What a registry export of an SMS 2.0 client says about its choice of servers, as preferences of
 * ours: the three switches beneath HKLM\Software\Microsoft\NAL\Client, and the lists beneath
 * "Preferred AbExprtDB\{CAP|DP} List for site zzz", whose values' names are NAL paths (Q235873).
 *
 * PURE.
 */
#ifndef NAL_NALIMPORT_H
#define NAL_NALIMPORT_H

#include <stdbool.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/kind.h"
#include "nal/preference.h"
#include "nal/regfile.h"

enum nalimport_switch {
	NALIMPORT_PREFERRED, /* "Use Preferred Servers", off unless it says so */
	NALIMPORT_EXISTING,  /* "Use Existing Connections", on */
	NALIMPORT_RANDOM,    /* "Use Random Path Selection", on */
	NALIMPORT_SWITCH_COUNT_,
};

/* One entry of a list. Texts are borrowed from the export. */
struct nalimport_entry {
	enum kind kind;
	const char *site; /* "LON": which site's list */
	const char *path;
	bool is_taken; /* false: `why` tells what cannot be had, NetWare for one */
	struct err why;
};

struct nalimport {
	bool is_on[NALIMPORT_SWITCH_COUNT_];
	bool is_said[NALIMPORT_SWITCH_COUNT_]; /* the export says it; else it is SMS's default */
	struct nalimport_entry *entries;
	size_t count;
	/*
	 * The policy that does what the switches said; NULL: none of them was said, or all were
	 * off, which would leave no server at all.
	 */
	const char *policy;
};

/*
 * Find it all. ERR_NOT_FOUND where the export has nothing of NAL, ERR_FORMAT for a switch that is
 * no number. `out` must be empty; it borrows from `file`.
 */
bool nalimport_find(struct nalimport *out, const struct regfile *file, struct err *err) MUST_USE;
void nalimport_release(struct nalimport *n);
SCOPED_RELEASE(nalimport);

/* "Use Preferred Servers", …; never NULL. */
const char *nalimport_switch_name(enum nalimport_switch which);

/*
 * Put it into preferences: the policy, where there is one, and the entries behind those that are
 * there, unless preferred servers were switched off. ERR_LIMIT.
 */
bool nalimport_apply(struct preference *p, const struct nalimport *n, struct err *err) MUST_USE;

#endif
