/*
 * The client's state folder: where everything of one client lives (docs/ARCHITECTURE.md 3), its
 * identity, and its locks.
 *
 * No network and no cryptography: the supervisor links this.
 */
#ifndef AGENT_STATE_H
#define AGENT_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"
#include "common/wire.h"

#define STATE_DEFAULT       "/var/lib/packway"
#define STATE_DOC_MAX       ((size_t)WIRE_FRAME_MAX) /* bytes of a JSON file: a plan of 19,000 rows */
#define STATE_ADDRESSES_MAX 16
/* Seconds behind the last accepted policy from which on somebody should set the clock (PW-CLOCK).
 */
#define STATE_CLOCK_FAR_BEHIND 86400

/* Documents of the worker, which writes them; in a room of its own (workroom.h). */
#define STATE_NAL      "worker/nal.json"       /* what was learned of servers */
#define STATE_CAP      "worker/cap.json"       /* what the last refresh left */
#define STATE_STATUS   "worker/status.json"    /* what the last cycle met */
#define STATE_SESSIONS "worker/sessions.json"  /* {"leaks"}: leases that nobody gave back, ever */
#define STATE_SHARD    "worker/receipts.new"   /* receipts as received, not checked yet */
#define STATE_TICKET   "worker/ticket"         /* a copy of root's ticket cache */
#define STATE_KEY      "worker/credential.key" /* of the fingerprints of credentials */

#define STATE_NEXT_KEY "client.key.next" /* the key that is to follow client.key (rekey.h) */
#define STATE_UPLOAD   "upload.json" /* {"why"}: what kept records here when they were sent last */

enum state_enrolment {
	STATE_NONE,     /* no identity: enroll has never been run, or reset was */
	STATE_PENDING,  /* an enrolment was sent; the site has not answered */
	STATE_ENROLLED, /* a receipt of the site says so */
	STATE_REMOVED,  /* a receipt of the site says so */
};

/* What identity.json holds. Texts are owned by the struct. */
struct state_identity {
	enum state_enrolment enrolment;
	char client[33]; /* empty without an identity */
	char site[4];
	char *machine;   /* machine-id at enrolment */
	char stream[33]; /* of records; random per install, new after a fork */
	char *caps[STATE_ADDRESSES_MAX];
	size_t cap_count;
};

void state_identity_release(struct state_identity *id);
static inline void state_identity_scoped(struct state_identity *id)
{
	state_identity_release(id);
}

struct state {
	char *dir;
	uid_t owner; /* of the folder: whom this process acts for, whatever its own account */
};

/* Whether a folder that is missing is made. */
enum state_open_mode {
	STATE_READ,   /* must exist */
	STATE_CREATE, /* is made with its rooms, 0700 */
	STATE_SERVE,  /* must exist, and may be root's: for a worker with an account of its own */
};

/*
 * Open the state folder. A folder that belongs to somebody else than this process's user is refused
 * (ERR_PERMISSION), since what is in it decides what is run; so is, for root, one below a folder
 * that others may write, other than with the sticky bit.
 */
bool state_open(struct state *st, const char *dir, enum state_open_mode mode, struct err *err)
	MUST_USE;
void state_close(struct state *st);
static inline void state_scoped(struct state *st)
{
	state_close(st);
}

/* "DIR/name"; the caller frees it. */
char *state_path(const struct state *st, const char *name) MUST_USE;

/* The documented names of enum state_enrolment: none, pending, enrolled, removed. */
const char *state_enrolment_name(enum state_enrolment e);

/* True if somebody has enrolled this client, whether or not the site has let it in. */
bool state_has_identity(const struct state *st);

/* Without an identity.json: STATE_NONE and true. A damaged one is ERR_FORMAT. */
bool state_load_identity(struct state_identity *out, const struct state *st, struct err *err)
	MUST_USE;
bool state_save_identity(const struct state *st, const struct state_identity *id, struct err *err)
	MUST_USE;

/* This machine's id: /etc/machine-id, PACKWAY_MACHINE_ID for tests (not with raised rights), or the
 * host name. The caller frees it. */
char *state_machine_id(void) MUST_USE;

/*
 * A JSON document of the state folder. Absent: *out is NULL and the call succeeds. Damaged: it is
 * set aside as NAME.damaged, reported by a warning, and counts as absent: what such files hold is
 * learned again.
 */
bool state_read_json(json_t **out, const struct state *st, const char *name, struct err *err)
	MUST_USE;
bool state_write_json(const struct state *st, const char *name, const json_t *doc, struct err *err)
	MUST_USE;

/* The same for what may be lost, or left in half, by a power cut. */
bool state_write_json_unflushed(const struct state *st, const char *name, const json_t *doc,
				struct err *err) MUST_USE;

/* Take the lock STATE/lock/NAME.lock, waiting up to `wait_ms`; released by closing the descriptor.
 */
bool state_lock(int *fd_out, const struct state *st, const char *name, uint32_t wait_ms,
		struct err *err) MUST_USE;

/* Where the agent of this state listens; the caller frees it. */
char *state_socket_path(const struct state *st) MUST_USE;

#endif
