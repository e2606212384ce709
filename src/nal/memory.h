/*
 * What a client remembers of servers: failures with their consequences, back-off, quarantine,
 * the last success, measured goodput, and since when it waits for a tier to open.
 *
 * Updates are pure: the caller passes the time and a seed, and stores the bytes of memory_write
 * (STATE/nal.json). Times are seconds of the wall clock, since they have to outlive a restart; but
 * waits are lengths of time: memory_tick, called after loading and before each use, compares the
 * wall clock with the monotonic one and moves every stamp along when the former has jumped. So a
 * clock that is set never opens a tier or ends a back-off early or late.
 *
 * PURE.
 */
#ifndef NAL_MEMORY_H
#define NAL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "nal/class.h"
#include "nal/kind.h"

#define MEMORY_BYTES_MAX    ((size_t)8 << 20)
#define MEMORY_SERVERS_MAX  4096 /* the one untouched longest goes first */
#define MEMORY_OBJECTS_MAX  64   /* quarantined or missing objects of one server */
#define MEMORY_NETWORKS_MAX 8    /* goodput figures of one server */
#define MEMORY_WAITS_MAX    4096
#define MEMORY_TEXT_MAX     256 /* names of servers, objects and networks */

#define MEMORY_BACK_OFF_FIRST_S 5
#define MEMORY_BACK_OFF_CAP_S   600
#define MEMORY_QUARANTINE_S     (24 * 3600)
#define MEMORY_MISSING_S        (15 * 60)
#define MEMORY_STICKY_DP_S      (24 * 3600)
#define MEMORY_STICKY_CAP_S     (12 * 3600)
#define MEMORY_GOODPUT_LIFE_S   (7 * 24 * 3600)
#define MEMORY_GOODPUT_HALF_S   (24 * 3600) /* an average counts half after this long */
#define MEMORY_GOODPUT_BYTES    65536       /* smaller transfers measure the round trip */

struct memory;

/* What the machine's clocks say. `boot` names this boot (any text); NULL: not known. */
struct memory_now {
	int64_t wall_s;
	uint64_t mono_s;
	const char *boot;
};

/* What became of one attempt on a server. */
struct memory_event {
	const char *server;
	const char *object; /* package and version, "LON00001:3", or "cap" */
	enum kind kind;
	enum nal_class what;
	const char
		*config; /* fingerprint of the credentials in use; a denial lasts while it stays */
	uint64_t seed;   /* of the jitter */
};

/* What choice wants to know of one server. 0 stands for "no". */
struct memory_facts {
	int64_t back_off_until_s;
	int64_t quarantined_until_s;
	int64_t missing_until_s;
	bool is_denied;
	bool is_sticky;
	uint64_t goodput_bps; /* bytes per second; 0: not known */
	uint8_t goodput_band; /* near-equals are equal; 0: not known */
};

struct memory *memory_new(void);
void memory_free(struct memory *m);
SCOPED_FREE(memory);

/* Take note of the time and mend what a jump of the wall clock would spoil. */
void memory_tick(struct memory *m, const struct memory_now *now);

/* Draw the consequences of an attempt, good or bad. Needs a memory_tick before. */
void memory_record(struct memory *m, const struct memory_event *event);

/* Add a real transfer to the average of `server` as reached from `network`. */
void memory_transfer(struct memory *m, const char *server, const char *network, uint64_t bytes,
		     uint64_t ms);

/* What is known of a server with regard to an object, now. */
struct memory_facts memory_facts(const struct memory *m, const char *server, const char *object,
				 enum kind kind, const char *network, const char *config);

/* Since when the object waits for a tier to open; 0: it does not. */
int64_t memory_wait_since(const struct memory *m, const char *object);

/* Begin to wait; an earlier begin stays. End: the object arrived or is no longer wanted. */
void memory_wait_begin(struct memory *m, const char *object);
void memory_wait_end(struct memory *m, const char *object);

/* Forget the last success (policy changed, a redraw is wanted). */
void memory_unstick(struct memory *m, enum kind kind);

/* True if something changed since memory_new, memory_read or the last memory_write. */
bool memory_is_dirty(const struct memory *m);

/* The stored form; reading is bounded by MEMORY_BYTES_MAX and the limits above. */
bool memory_read(struct memory **out, struct span bytes, struct err *err) MUST_USE;
void memory_write(struct buf *out, struct memory *m);

#endif
