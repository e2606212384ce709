/*
 * Preferred servers: lists for CAPs and DPs that a client keeps, and the choice policy it insists
 * on. An entry is a system's name, a host, a locator or an SMS NAL path; it matches a system by
 * name, server, server and share, or a prefix of an address, never with regard to ASCII case. SMS
 * wanted full package paths (Q226115): a NAL path also matches the system that it lies beneath.
 *
 * PURE: the file is read and written by the caller (docs/formats/decision.md has the format).
 */
#ifndef NAL_PREFERENCE_H
#define NAL_PREFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "nal/kind.h"
#include "nal/locator.h"

#define PREFERENCE_ENTRIES_MAX 256
#define PREFERENCE_BYTES_MAX   ((size_t)1 << 20)

struct preference_entry {
	char *text;      /* as it was given */
	char *server;    /* a name or host alone; NULL: `where` is set */
	bool is_locator; /* `where` is set */
	bool is_nal;     /* it came as a NAL path, which may end in a package's folder */
	struct locator where;
};

struct preference_list {
	struct preference_entry *entries;
	size_t count;
};

struct preference {
	struct preference_list lists[KIND_COUNT_];
	char *policy; /* NULL: not said */
};

void preference_release(struct preference *p);
SCOPED_RELEASE(preference);

/*
 * Add an entry at the end of a list; one that is there already stays where it is. ERR_FORMAT for
 * a text that is nothing of the kinds above, ERR_UNSUPPORTED for a NetWare path, ERR_LIMIT.
 */
bool preference_add(struct preference *p, enum kind kind, const char *text, struct err *err)
	MUST_USE;

/* Remove an entry by its text, without regard to ASCII case; false if it was not there. */
bool preference_remove(struct preference *p, enum kind kind, const char *text);

/* Empty a list. */
void preference_clear(struct preference *p, enum kind kind);

/* Insist on a policy; NULL takes it back. ERR_USAGE for one that does not exist. */
bool preference_set_policy(struct preference *p, const char *policy, struct err *err) MUST_USE;

/* Parse one entry; `out` must be empty and is released by preference_entry_release. */
bool preference_entry_parse(struct preference_entry *out, const char *text, struct err *err)
	MUST_USE;
void preference_entry_release(struct preference_entry *entry);
SCOPED_RELEASE(preference_entry);

/* True if the entry means the system of this name, or one of its addresses. */
bool preference_matches(const struct preference_entry *entry, const char *name,
			const struct locator *const *addresses, size_t address_count);

/* Read the stored form, at most PREFERENCE_BYTES_MAX; `out` must be empty. */
bool preference_read(struct preference *out, struct span bytes, struct err *err) MUST_USE;
void preference_write(struct buf *out, const struct preference *p);

#endif
