/*
 * SMB2 messages on a TCP connection: four bytes of length (MS-SMB2 section 2.1), a header of 64
 * bytes (2.2.1.2), a body. Just what the presence ladder needs; sessions are libsmbclient's.
 *
 * Building:  smbframe_begin → buf_put_* → smbframe_end
 * Reading:   smbframe_take, until it says SMBFRAME_MORE
 *
 * PURE. What comes from the server is bounded and never trusted.
 */
#ifndef NAL_SMBFRAME_H
#define NAL_SMBFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "common/span.h"

#define SMBFRAME_HEADER   64    /* of a message, behind the length */
#define SMBFRAME_MAX      65536 /* bytes of a message that is read; answers here have some hundred */
#define SMBFRAME_DEFERRED 0x2u  /* flag SMB2_FLAGS_ASYNC_COMMAND */

/* MS-SMB2 2.2.1.2 */
enum smbframe_command {
	SMBFRAME_NEGOTIATE = 0,
	SMBFRAME_SESSION_SETUP = 1,
	SMBFRAME_LOGOFF = 2,
	SMBFRAME_TREE_CONNECT = 3,
	SMBFRAME_TREE_DISCONNECT = 4,
};

struct smbframe {
	uint16_t command; /* enum smbframe_command */
	uint32_t status;  /* answers: an NTSTATUS */
	uint32_t flags;
	uint64_t message;
	uint32_t tree; /* 0 in a deferred answer */
	uint64_t session;
	struct span body; /* answers: behind the header; borrowed */
};

enum smbframe_result {
	SMBFRAME_WHOLE,    /* one answer was taken */
	SMBFRAME_MORE,     /* so far it may become one */
	SMBFRAME_SHUT_OUT, /* a negative session response (RFC 1002 4.3.4): not for this client */
	SMBFRAME_NOT_SMB,  /* no SMB2 answer, whatever follows */
};

/* Take one answer from the front of what was received. `in` moves on with SMBFRAME_WHOLE only. */
enum smbframe_result smbframe_take(struct smbframe *out, struct span *in);

/* Append length and header of a request (of `head`: command, message, tree, session). Returns where
 * the message starts, for smbframe_end. */
size_t smbframe_begin(struct buf *out, const struct smbframe *head);

/* The body is complete: write the length. */
void smbframe_end(struct buf *out, size_t start);

#endif
