/*
 * Presence: is there a server at an address, found out rung by rung.
 *
 * An SMB server's ladder is the one of SMS 2.0 (Q226113): an open session, if there is one, answers
 * and none is made beside it (Q312512); else a NEGOTIATE, which settles it where the server
 * refuses, is silent or speaks no SMB; else NetServerGetInfo, on port 445 alone; if that call does
 * not work, IPC$, connected and released at once. HTTP is asked for the head of a marker; a folder
 * is opened and its marker read in a time box.
 *
 * A rung refused for lack of rights does not mean absent, and what cannot be measured is unknown.
 * Servers are asked at most once a second and sixty times a minute in all (presence.h); what was
 * found the last time stands in for what is not asked. Blocks up to the limits of the table and of
 * smbknock.h and netserver.h.
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

#define PROBE_STEPS_MAX  4
#define PROBE_FOLDER_MS  1000 /* for a folder to open */
#define PROBE_CONNECT_MS 1000 /* for an SMB server to be connected to */
#define PROBE_LADDER_MS  4500 /* for all rungs of SMB */
#define PROBE_AFTER_MS   500  /* the same after a failure */

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
	bool is_skipped; /* it cannot be asked there: "not-applicable" in place of a class */
	enum nal_class class;
	uint32_t ms;
	struct err err; /* words for `class` */
};

struct probe {
	enum probe_presence presence;
	struct probe_step steps[PROBE_STEPS_MAX];
	size_t count; /* 0: nothing was asked */
};

/* "session", "http", …; never NULL. */
const char *probe_rung_name(enum probe_rung rung);

/* The class of a step as it is shown: of nal/class.h, or "not-applicable". */
const char *probe_class_name(const struct probe_step *step);

/* Probe one target; `out` is overwritten. */
void probe_run(struct probe *out, struct conntab *tab, const struct way_target *target);

/* That an SMB server answered a NEGOTIATE at `address` (numeric) a moment ago. */
struct probe_knocked {
	const char *address;
	uint32_t ms;
};

/*
 * The ladder before a connection to an SMB server: as probe_run, but a server that was present
 * within the last half minute is taken to be. `knocked` spares a NEGOTIATE; NULL: there was none.
 */
void probe_before(struct probe *out, struct conntab *tab, const struct way_target *target,
		  const struct probe_knocked *knocked);

/*
 * The ladder after a session could not be opened, for no reason that is clear: as probe_run, within
 * PROBE_AFTER_MS in all, since it comes on top of what failed.
 */
void probe_after(struct probe *out, struct conntab *tab, const struct way_target *target);

/* The last rung that was tried, with what it said; NULL if there was none. Borrowed. */
const struct probe_step *probe_last(const struct probe *probe);

/* How long all of it took. */
uint32_t probe_ms(const struct probe *probe);

/* `probe --json`; the caller owns it. `locator` is the text that was asked about. */
json_t *probe_json(const struct probe *probe, const char *locator) MUST_USE;

#endif
