/*
 * Have the content of an assignment here, verified and held while its program runs. A worker
 * fetches it; a child without network compares it with the signed manifest.
 */
#ifndef AGENT_SUPPLY_H
#define AGENT_SUPPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/assigned.h"
#include "agent/job.h"
#include "common/error.h"
#include "common/macros.h"

/* Everything is borrowed. */
struct supply {
	struct job *job;
	struct assigned *plan; /* what waits, and for what, is noted there */
};

enum supply_how {
	SUPPLY_MISSING, /* what stands here as verified is believed */
	SUPPLY_MEND,    /* what stands here was found changed: look at every chunk again */
};

/*
 * Have the content of an assignment here, or note why not. The caller frees *path_out and, which
 * may be NULL, *way_out. Blocks while it is fetched. ERR_NO_CANDIDATE: it has to wait.
 */
bool supply_fetch(char **path_out, char **way_out, const struct supply *s, size_t index,
		  enum supply_how how, struct err *err) MUST_USE;

/*
 * Have it here unless its program reads it from a mount: then *path_out and *way_out are NULL, and
 * supply_hold mounts it.
 */
bool supply_prepare(char **path_out, char **way_out, const struct supply *s, size_t index,
		    struct err *err) MUST_USE;

/*
 * Hold the content so that nobody removes it, and compare it with its manifest once more. Somebody
 * may have changed it since it came: that is mended once. The caller closes *pin_out (-1 before).
 *
 * For a program that asks for a mount: mount it, as long as some process has *pin_out, and tell the
 * place in *path_out. A mount anywhere falls back to a copy where the machine has no FUSE; a place
 * that is taken is ERR_IN_USE with its holder named.
 */
bool supply_hold(int *pin_out, char **path_out, char **way_out, const struct supply *s,
		 size_t index, struct err *err) MUST_USE;

#endif
