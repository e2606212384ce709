/*
 * Refused uploads, kept for a person to look at: SITE/quarantine, two files each. `<time>-<hash>`
 * is the object, `<time>-<hash>.json` says where it stood, under which name, and why it was
 * refused.
 *
 *     quarantine_open → quarantine_keep … → quarantine_release
 *
 * The folder is bounded by number and bytes; the oldest give way. Nothing here is a fault: a
 * refused object must not stop the intake, and its sender still has what it says.
 */
#ifndef SITE_QUARANTINE_H
#define SITE_QUARANTINE_H

#include "common/macros.h"
#include "common/span.h"
#include "site/site.h"

#define QUARANTINE_OBJECTS_MAX 256
#define QUARANTINE_BYTES_MAX   ((uint64_t)64 << 20)

struct quarantine_entry {
	char *name;
	uint64_t size;
};

struct quarantine {
	const struct site *site;
	char *folder;
	struct quarantine_entry *entries; /* oldest first */
	size_t count;
	uint64_t bytes;
	size_t kept; /* since it was opened */
};

/* Look at what is there. The site must outlive it; `out` needs no initial value. */
void quarantine_open(struct quarantine *out, const struct site *site);
void quarantine_release(struct quarantine *q);
SCOPED_RELEASE(quarantine);

/*
 * True if one more object would still be there at the end of this run; a flood need not be read to
 * be refused.
 */
bool quarantine_wants(const struct quarantine *q);

/* Keep an object that stood on `cap` under `name` (foreign text). */
void quarantine_keep(struct quarantine *q, const char *cap, const char *name, struct span bytes,
		     const char *reason);

#endif
