/*
 * Asking an SMB server over a connected socket, without a session that anybody could use: a
 * NEGOTIATE (negotiate.h), and if wanted an IPC$ that is connected and released at once
 * (ipcshare.h). It tells servers that answer from silent ones and from what is no SMB.
 *
 *     smbknock_begin → { wait for smbknock_poll, smbknock_step } until it is no longer
 * SMBKNOCK_BUSY → smbknock_result → smbknock_free
 *
 * Nothing blocks but smbknock_wait. The connection ends with it: libsmbclient makes its own.
 */
#ifndef NAL_SMBKNOCK_H
#define NAL_SMBKNOCK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/negotiate.h"

#define SMBKNOCK_NEGOTIATE_MS 500  /* at most, for the answer to a NEGOTIATE */
#define SMBKNOCK_IPC_MS       1500 /* for all of IPC$: six round trips */

enum smbknock_depth {
	SMBKNOCK_NEGOTIATE, /* is it an SMB server */
	SMBKNOCK_IPC,       /* does it let us at IPC$ */
};

enum smbknock_state {
	SMBKNOCK_BUSY,
	SMBKNOCK_DONE,
};

struct smbknock;

struct smbknock_result {
	/*
	 * NAL_CLASS_OK: it answered, at the depth that was asked for. TIMEOUT: silence past the
	 * time limit; UNREACHABLE: connecting failed; PROTOCOL: what answered, or hung up, is no
	 * SMB server; DENIED, BUSY, NOT_FOUND, UNKNOWN: an SMB server's own words.
	 */
	enum nal_class class;
	bool is_smb;             /* an SMB server answered, whatever it said then */
	struct negotiate answer; /* with is_smb; zeroed if it shut us out */
};

/*
 * Begin on a connected non-blocking socket, which is taken over. `host` (copied) is the server's
 * name as it stands in \\HOST\IPC$. All of it stays within `timeout_ms`.
 */
struct smbknock *smbknock_begin(int fd, const char *host, enum smbknock_depth depth,
				uint32_t timeout_ms, uint64_t now_ms) MUST_USE;

/* Hang up. NULL is fine. */
void smbknock_free(struct smbknock *k);
SCOPED_FREE(smbknock);

/* What to wait for. */
struct pollfd smbknock_poll(const struct smbknock *k);

/* In how many ms smbknock_step has something to do whatever the socket says. */
uint32_t smbknock_wait_ms(const struct smbknock *k, uint64_t now_ms);

/* Go on as far as possible without waiting. */
enum smbknock_state smbknock_step(struct smbknock *k, uint64_t now_ms);

/* After SMBKNOCK_DONE. `err` is filled unless the class is NAL_CLASS_OK. */
void smbknock_result(struct smbknock_result *out, const struct smbknock *k, struct err *err);

/*
 * The result as the class of an attempt to connect. A server that shuts this machine out is
 * unreachable to it; DENIED would be held against the account, which was not asked for.
 */
enum nal_class smbknock_class(const struct smbknock_result *result);

/*
 * The whole of it, blocking: connect within `connect_ms`, then ask, for `timeout_ms`. `address`
 * gets the numeric address that was connected to; NULL if nobody wants it.
 */
void smbknock_wait(struct smbknock_result *out, char address[64], const char *host, uint16_t port,
		   enum smbknock_depth depth, uint32_t connect_ms, uint32_t timeout_ms,
		   struct err *err);

#endif
