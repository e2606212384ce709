/*
 * What an SMB session's process (packway-smb, src/smb) and its owner (smbsession.h) say to each
 * other. Frames travel by common/wire.h; bulk data lies in memory that both have mapped, so that a
 * frame is never larger than SMBWIRE_FRAME_MAX.
 *
 *     owner:    hello [+ the secret's bytes], request, request …
 *     process:                                reply, reply …            in the order of requests
 *
 * Both sides parse as if the other were hostile: the process reads servers' bytes. The owner must
 * not trust what lies in the shared memory to stay as it is.
 *
 * docs/formats/smb.md describes the bytes.
 *
 * PURE.
 */
#ifndef NAL_SMBWIRE_H
#define NAL_SMBWIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"

#define SMBWIRE_FORMAT      1
#define SMBWIRE_TEXT_MAX    4096 /* bytes of one text */
#define SMBWIRE_FRAME_MAX   32768
#define SMBWIRE_AREA_BYTES  ((size_t)32 << 20) /* of the shared memory, behind the gauges */
#define SMBWIRE_ROOM_MAX    ((size_t)64 << 20) /* bytes of memory that is passed on */
#define SMBWIRE_GAUGE_BYTES ((size_t)4096)     /* its first page */
#define SMBWIRE_ENTRY_MAX   300                /* bytes of one entry of a listing */

/*
 * The first page of the shared memory. The process writes, its owner reads; counters only grow.
 * Only `is_held` is the owner's.
 */
struct smbwire_gauges {
	_Atomic uint64_t received; /* bytes from the server, whole connections */
	_Atomic uint64_t sent;     /* bytes to it that it acknowledged */
	_Atomic uint32_t rtt_us;   /* shortest round trip of late; 0: not known */
	_Atomic uint32_t is_held;  /* the owner is in a transfer: nothing is closed or given back */
};

enum smbwire_logon {
	SMBWIRE_GUEST,
	SMBWIRE_ACCOUNT, /* the secret follows the hello frame as `secret_size` plain bytes */
	SMBWIRE_TICKET,
	SMBWIRE_LOGON_COUNT_,
};

/* The first frame, which carries the descriptor of the shared memory. Texts are borrowed. */
struct smbwire_hello {
	enum smbwire_logon logon;
	uint16_t port;
	uint16_t secret_size;
	const char *host;   /* as URLs have it: a name or an IPv4 address */
	const char *user;   /* "" unless accounts */
	const char *domain; /* "" none */
};

enum smbwire_op {
	SMBWIRE_OPEN,   /* size and time of `path`, which stays open for SMBWIRE_READ */
	SMBWIRE_READ,   /* exactly [offset, offset + size) of it to `at` of the area */
	SMBWIRE_CREATE, /* begin the new object `path`; the folders above it are made */
	SMBWIRE_WRITE,  /* append `size` bytes at `at` of the area to it */
	SMBWIRE_FINISH, /* it is complete */
	SMBWIRE_DROP,   /* it is to be forgotten and removed */
	SMBWIRE_RENAME, /* to `to`; what stands there is removed first */
	SMBWIRE_DELETE,
	SMBWIRE_LIST, /* entries of the folder `path` to the area; SMBWIRE_MORE: the next ones */
	SMBWIRE_ROOM, /* the frame's descriptor is memory for READ with SMBWIRE_THERE */
	SMBWIRE_OP_COUNT_,
};

enum smbwire_flag {
	SMBWIRE_LAST = 1 << 0, /* READ: nothing more of this object will be asked for */
	SMBWIRE_NOW = 1 << 1,  /* OPEN, READ: with LAST: others wait to replace it, so close soon */
	SMBWIRE_MORE = 1 << 2, /* LIST: go on */
	SMBWIRE_THERE = 1 << 3, /* READ: `at` is a place in the room, and not in the area */
};

struct smbwire_request {
	enum smbwire_op op;
	uint8_t flags; /* enum smbwire_flag */
	uint64_t offset;
	uint64_t size;
	uint64_t at;
	const char *share; /* borrowed, as the others */
	const char *path;  /* beneath the share, without a leading slash; "" the share itself */
	const char *to;
};

enum smbwire_reply_flag {
	SMBWIRE_UP = 1 << 0,     /* the server has let us in, and the connection stands */
	SMBWIRE_FOLDER = 1 << 1, /* OPEN: it is a folder */
	SMBWIRE_END = 1 << 2,    /* LIST: these were the last */
};

struct smbwire_reply {
	enum smbwire_op op;
	uint8_t flags;   /* enum smbwire_reply_flag */
	uint32_t fault;  /* errno; 0: done */
	uint32_t status; /* NTSTATUS behind a fault; 0: not known */
	uint64_t size;   /* OPEN: the object's; READ, WRITE, LIST: bytes moved */
	int64_t mtime_ns;
};

struct smbwire_entry {
	uint64_t size;
	int64_t mtime_s;
	bool is_folder;
	char name[256];
};

/* Texts of a parsed frame point into `texts`, which the caller releases. */
void smbwire_write_hello(struct buf *out, const struct smbwire_hello *hello);
bool smbwire_read_hello(struct smbwire_hello *out, struct buf *texts, struct span frame,
			struct err *err) MUST_USE;

void smbwire_write_request(struct buf *out, const struct smbwire_request *r);

/* ERR_FORMAT also for a range that leaves the area, or the greatest room, or the numbers of files.
 */
bool smbwire_read_request(struct smbwire_request *out, struct buf *texts, struct span frame,
			  struct err *err) MUST_USE;

void smbwire_write_reply(struct buf *out, const struct smbwire_reply *r);
bool smbwire_read_reply(struct smbwire_reply *out, struct span frame, struct err *err) MUST_USE;

/* One entry of a listing; false from write if `room` is too small. */
bool smbwire_write_entry(struct buf *out, const struct smbwire_entry *e, size_t room) MUST_USE;

/* Take the next entry. ERR_FORMAT for a name that is no single component, too. */
bool smbwire_take_entry(struct smbwire_entry *out, struct span *bytes, struct err *err) MUST_USE;

#endif
