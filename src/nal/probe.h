/*
 * Presence: is there a server at an address, found out rung by rung. HTTP is asked for the head of
 * a marker, a folder is opened and its marker read in a time box; an open session of the table is
 * used and none is made beside it.
 *
 * A rung refused for lack of rights does not mean absent, and what cannot be measured is unknown.
 * Blocks up to the limits of the table. SMB's rungs (negotiate, netservergetinfo, ipc) come with
 * its provider; until then such an address is unknown, with no step.
 */
#ifndef NAL_PROBE_H
#define NAL_PROBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/conntab.h"

#define PROBE_STEPS_MAX 4
#define PROBE_FOLDER_MS 1000 /* for a folder to open */

enum probe_rung {
	PROBE_SESSION,   /* an open session answered */
	PROBE_NEGOTIATE, /* SMB2 NEGOTIATE */
	PROBE_NETSERVERGETINFO,
	PROBE_IPC,  /* tree connect to IPC$, released at once */
	PROBE_HTTP, /* HEAD of the marker */
	PROBE_FILE, /* the marker in a time box */
	PROBE_RUNG_COUNT_,
};

enum probe_presence {
	PROBE_UNKNOWN, /* null in JSON */
	PROBE_PRESENT,
	PROBE_ABSENT,
};

struct probe_step {
	enum probe_rung rung;
	enum nal_class class;
	uint32_t ms;
	struct err err; /* words for `class` */
};

struct probe {
	enum probe_presence presence;
	struct probe_step steps[PROBE_STEPS_MAX];
	size_t count;
};

/* "session", "http", …; never NULL. */
const char *probe_rung_name(enum probe_rung rung);

/* Probe one target; `out` is overwritten. */
void probe_run(struct probe *out, struct conntab *tab, const struct way_target *target);

/* `probe --json`; the caller owns it. `locator` is the text that was asked about. */
json_t *probe_json(const struct probe *probe, const char *locator) MUST_USE;

#endif
