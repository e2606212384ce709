/*
 * The last rung of the presence ladder: connect to a server's IPC$ and release it at once
 * (Q226113), as an anonymous client, on a connection whose NEGOTIATE was answered.
 *
 *     ipcshare_begin → { ipcshare_request → send it → ipcshare_answer for each answer that comes,
 *     until it says IPCSHARE_NEXT or IPCSHARE_OVER } → the outcome
 *
 * Session setup in two legs (MS-SMB2 2.2.5, with SPNEGO and NTLMSSP: MS-NLMP 3.2.5.1.2 says what an
 * anonymous client answers, which takes no cryptography), tree connect (2.2.9), tree disconnect
 * (2.2.11), logoff (2.2.7). Nothing of an answer is used but its header. Why not libsmbclient: it
 * keeps the tree until it is purged, names the same errno for a refused connect as for a tree that
 * was connected, and takes longer to load than all of this does.
 *
 * PURE.
 */
#ifndef NAL_IPCSHARE_H
#define NAL_IPCSHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/smbframe.h"

#define IPCSHARE_HOST_MAX 255 /* bytes of the name that stands in \\HOST\IPC$ */

enum ipcshare_leg {
	IPCSHARE_HELLO,      /* session setup: the offer of NTLMSSP */
	IPCSHARE_ANONYMOUS,  /* session setup: nobody in particular */
	IPCSHARE_CONNECT,    /* the tree */
	IPCSHARE_DISCONNECT, /* the tree, released */
	IPCSHARE_LOGOFF,
	IPCSHARE_LEG_COUNT_,
};

enum ipcshare_progress {
	IPCSHARE_WAIT, /* the answer that counts is still to come */
	IPCSHARE_NEXT, /* ask for the next request */
	IPCSHARE_OVER, /* nothing more to send; see the outcome */
};

struct ipcshare {
	enum ipcshare_leg leg; /* the request under way */
	uint64_t message;
	uint64_t session;
	uint32_t tree;
	bool was_connected;   /* the server let us at IPC$ */
	enum nal_class class; /* OK once it did; else what stood in the way, after IPCSHARE_OVER */
	uint32_t status;      /* the NTSTATUS behind the class */
};

void ipcshare_begin(struct ipcshare *c);

/* Append the request of the current leg. `host` is ASCII, at most IPCSHARE_HOST_MAX bytes. */
void ipcshare_request(struct buf *out, const struct ipcshare *c, const char *host);

/* Take an answer. */
enum ipcshare_progress ipcshare_answer(struct ipcshare *c, const struct smbframe *answer);

#endif
