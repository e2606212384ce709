/*
 * Reading and writing at one CAP or DP, whatever the protocol.
 *
 *     conntab_acquire or connect_next → way_get, way_read_ranges, way_put … → conntab_release
 *
 * A way is one folder of one server, over a session that others may share. Every function blocks,
 * within the way's limits, and returns a class (class.h) with the words for people in `err`, which
 * is filled for every class but NAL_CLASS_OK. After a class that puts the session in doubt
 * (way_is_broken) the way is not worth another call: release it.
 *
 * Names are relative to the way's folder: plain components joined by single slashes
 * (path_is_beneath), not URL-encoded. What comes back is not trusted: the caller verifies it.
 */
#ifndef NAL_WAY_H
#define NAL_WAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/recvroom.h"
#include "common/span.h"
#include "nal/class.h"
#include "nal/locator.h"
#include "nal/marker.h"

#define WAY_TOKEN_SIZE 200               /* a condition token with its terminator */
#define WAY_RANGES_MAX 65536             /* ranges in one call */
#define WAY_GET_MAX    ((size_t)1 << 30) /* the highest cap of way_get */

#define WAY_TOGETHER_MAX 1024 /* objects in one batch */

struct credential;
struct session;
struct timebox;
struct timebox_user;

/* How long a server may keep us waiting. WAY_LIMITS_DEFAULT holds the figures of the design. */
struct way_limits {
	uint32_t connect_ms;        /* to a connected socket, or an opened folder */
	uint32_t first_byte_ms;     /* from the request to the first byte of the answer's body */
	uint32_t floor_bytes_per_s; /* less over a whole window is NAL_CLASS_SLOW; 0: no floor */
	uint32_t floor_window_ms;
	uint32_t far_us; /* a round trip from which HTTP ranges come over several connections */
	const char *tls_ca_file; /* PEM; NULL: the system's */
};

#define WAY_LIMITS_DEFAULT                                                            \
	{                                                                             \
		.connect_ms = 1000, .first_byte_ms = 2800, .floor_bytes_per_s = 2048, \
		.floor_window_ms = 10000, .far_us = 5000                              \
	}

/* What is to be reached. Everything is borrowed for the duration of the call it is given to. */
enum way_marker_rule {
	WAY_MARKER_IGNORED,    /* folders: no look at it; others never look */
	WAY_MARKER_IF_PRESENT, /* a folder whose marker names another UUID is refused */
	WAY_MARKER_NEEDED,     /* a folder without the right marker is refused: every mount */
};

struct way_target {
	const struct locator *where; /* the system's address */
	const char *mount_at;        /* its content's folder beneath an OS mount; NULL: no mount */
	const char *server;          /* the system's name, for lists; NULL: the host */
	const char *context;         /* whose ways: "system" or a user's name; NULL: system */
	const struct credential *credential; /* whose (nal/credential.h); NULL: none is used */
	const struct timebox_user
		*as; /* a user's mount: who may enter, outlives the table; a user's
			credential: whom the session's process is. NULL: neither */
	enum way_marker_rule marker;
	enum marker_kind kind; /* which marker */
	const char *uuid;      /* the expected one; NULL: any */
};

/* What was reached before the session is opened: a connected socket or an open folder. */
struct way_link {
	int fd;              /* -1: nothing yet; the provider connects by itself */
	bool may_hang;       /* folders: I/O beneath it needs a time box */
	struct timebox *box; /* folders: the table's box for this folder (conntab_box) */
	char address[64]; /* sockets: the numeric address connected to, "" unknown. SMB: with fd -1,
			     one that answered a NEGOTIATE a moment ago */
};
#define WAY_LINK_NONE ((struct way_link){ .fd = -1 })

struct session_counts {
	uint64_t requests; /* operations that reached the server */
	uint64_t connects; /* new connections that succeeded */
	uint64_t bytes_in; /* of bodies: what a fetch counts as bytes_network */
	uint64_t bytes_out;
};

struct way {
	struct session *session; /* leased */
	struct locator where;    /* the folder; for mounts its address, not the mount point */
	struct way_limits limits;
	/*
	 * Bytes a second that whoever reads will take, or whoever writes wants sent, set by him for
	 * a while; 0: any. A provider then runs ahead of him by no more than way_ahead, so that the
	 * rate holds on the wire as well.
	 */
	uint64_t rate_bps;
	/*
	 * Memory of whoever reads, set by him for a while: way_read_ranges may have bytes put
	 * there. When it returns nobody writes to it any more. NULL: none.
	 */
	const struct recvroom *room;
	const char *fingerprint; /* of the credential in use; "": none, or a guest. Borrowed */
	bool by_mount;
	bool broken; /* see way_is_broken */
	/*
	 * Set by the provider with NAL_CLASS_DENIED where it is the logon that the server refused,
	 * and not an object to somebody who was let in: that account is not tried there again.
	 */
	bool is_refused;
};

/* A small whole object. Zeroed is empty; way_object_release when done. */
struct way_object {
	struct buf bytes;           /* empty when unchanged */
	bool unchanged;             /* the token still holds: nothing was moved */
	char token[WAY_TOKEN_SIZE]; /* to be given next time; "" if the server has none */
};

void way_object_release(struct way_object *object);
SCOPED_RELEASE(way_object);

struct way_get {
	size_t max;        /* bytes; a larger object is NAL_CLASS_PROTOCOL with ERR_LIMIT */
	const char *token; /* from an earlier get of that name; NULL or "": unconditional */
	uint64_t size;     /* its length, if known: smb saves the question, and the token; 0: not */
};

struct way_stat {
	uint64_t size;
	char token[WAY_TOKEN_SIZE];
};

/* Bytes [offset, offset + size) of an object; size is at least 1. */
struct way_range {
	uint64_t offset;
	uint64_t size;
};

/*
 * Takes a piece of the range with that index. Pieces of a range come in order and ranges one after
 * the other; a piece is valid during the call. Time spent in here is not held against the server.
 * False ends the read, with NAL_CLASS_OK: nothing is held
 * against the server, and the caller knows what it did.
 */
typedef bool way_sink_fn(size_t range, struct span piece, void *ctx);

/* Told how many more bytes were sent; may sleep to keep a rate. False ends the put with
 * NAL_CLASS_OK and nothing written. */
typedef bool way_sent_fn(uint64_t bytes, void *ctx);

/*
 * Takes a piece of what was written, as it was read back; pieces come in order, on another thread
 * than the caller's, and end before the put does. False: no more of them.
 */
typedef bool way_back_fn(struct span piece, void *ctx);

enum way_put_mode {
	/*
	 * NAL_CLASS_CONFLICT if the name exists. Over SMB and HTTP a part may show while it is
	 * being written, or after the writer died: readers tell by length or hash.
	 */
	WAY_PUT_CREATE,
	/* Readers see the old object or the new, whole; over SMB for a moment none, see
	 * way_get_replaced. */
	WAY_PUT_REPLACE,
};

struct way_put {
	enum way_put_mode mode;
	struct span bytes; /* what to write, or data NULL: read it from `fd` */
	int fd;            /* positioned; `size` bytes are read from it */
	uint64_t size;     /* with fd only */
	way_sent_fn *sent; /* NULL: nobody wants to know */
	void *ctx;
	/*
	 * Wants what is written from `fd` read back meanwhile; NULL: not. Only where that costs
	 * nothing but a second processor's time, on local folders, is it called at all: whoever
	 * has not seen all of the bytes by the end reads them as usual.
	 */
	way_back_fn *back;
	void *back_ctx;
	size_t piece; /* for providers: at most so many bytes between two calls; 0: as they like */
};

/* Small objects of one folder that are replaced together. */
struct way_small {
	const char *name; /* within the folder: one component */
	struct span bytes;
};

struct way_batch {
	const char *folder;
	const struct way_small *objects;
	size_t count;      /* 1 to WAY_TOGETHER_MAX, with different names */
	way_sent_fn *sent; /* NULL: nobody wants to know */
	void *ctx;
	size_t piece; /* for providers, as in struct way_put */
};

struct way_entry {
	const char *name; /* one component; hidden temporary files are left out */
	uint64_t size;
	int64_t mtime_s; /* since 1970, by the server's clock; 0 if it does not tell */
	bool is_folder;
};

/* Takes one entry, valid during the call. False ends the listing with NAL_CLASS_OK. */
typedef bool way_entry_fn(const struct way_entry *entry, void *ctx);

/*
 * Fetch a whole object of at most `ask->max` bytes into `out` (emptied first). With a token that
 * still holds, only `unchanged` is set.
 */
enum nal_class way_get(struct way_object *out, struct way *way, const char *name,
		       const struct way_get *ask, struct err *err) MUST_USE;

/*
 * The same for an object that somebody replaces now and then (timestamp.json, receipts). Over SMB
 * it is away for a moment then: an absence is believed at the third look, 200 ms apart each.
 */
enum nal_class way_get_replaced(struct way_object *out, struct way *way, const char *name,
				const struct way_get *ask, struct err *err) MUST_USE;

/* Ask for size and token without moving the object. */
enum nal_class way_stat(struct way_stat *out, struct way *way, const char *name, struct err *err)
	MUST_USE;

/*
 * Stream `count` ranges (ascending, not overlapping, at most WAY_RANGES_MAX) of one object. An
 * object that ends early is NAL_CLASS_PROTOCOL. A server that knows no ranges is read from the
 * start and what was not asked for is dropped (way_has_ranges turns false; the bytes count); so
 * give all ranges of one object in one call.
 */
enum nal_class way_read_ranges(struct way *way, const char *name, const struct way_range *ranges,
			       size_t count, way_sink_fn *sink, void *ctx, struct err *err)
	MUST_USE;

/*
 * Write an object; folders above it are made where the protocol has folders. It appears whole under
 * its name, durable where the server lets us ask for that, readable by everybody (mode 0644).
 */
enum nal_class way_put(struct way *way, const char *name, const struct way_put *ask,
		       struct err *err) MUST_USE;

/*
 * Replace many small objects, each as way_put with WAY_PUT_REPLACE would. All are durable when this
 * returns, and on folders they are flushed together, before the first of them gets its name: none
 * is ever half there, and the disk is waited for a few times instead of once for each. After a
 * fault, or where `sent` ended it, some may be replaced and others not.
 */
enum nal_class way_replace_all(struct way *way, const struct way_batch *batch, struct err *err)
	MUST_USE;

/* Remove an object. NAL_CLASS_NOT_FOUND if it was not there. */
enum nal_class way_delete(struct way *way, const char *name, struct err *err) MUST_USE;

/*
 * List a folder ("" for the way's own), in no order, up to `max_entries`; more are
 * NAL_CLASS_PROTOCOL with ERR_LIMIT after those.
 */
enum nal_class way_list(struct way *way, const char *folder, size_t max_entries,
			way_entry_fn *entry, void *ctx, struct err *err) MUST_USE;

/* Counts of the way's session since it was opened, everybody's use of it included. */
struct session_counts way_counts(const struct way *way);

/* How many bytes may be under way before they are taken: `usual`, or an eighth of a second's at the
 * way's rate, but always so many that a server `rtt_us` away can keep that rate. */
uint64_t way_ahead(const struct way *way, uint64_t usual, uint32_t rtt_us);

/* False once the server has shown that it does not do ranges. */
bool way_has_ranges(const struct way *way);

/*
 * True once a call put the session itself in doubt (timeout, unreachable, slow, protocol): it is
 * closed when released and not offered as an open way again.
 */
bool way_is_broken(const struct way *way);

/* True if the session can do that (enum provider_capability); a server may still refuse. */
bool way_can(const struct way *way, unsigned capabilities);

#endif
