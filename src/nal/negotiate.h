/*
 * The SMB2 NEGOTIATE request and its answer (MS-SMB2 sections 2.2.3 and 2.2.4): the cheapest
 * question that an SMB server answers. It opens no session and names no account.
 *
 * PURE: what has to be random comes in.
 */
#ifndef NAL_NEGOTIATE_H
#define NAL_NEGOTIATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macros.h"
#include "nal/smbframe.h"

#define NEGOTIATE_GUID_SIZE        16
#define NEGOTIATE_SALT_SIZE        32
#define NEGOTIATE_SIGNING_REQUIRED 0x2u /* in `security_mode` */

struct negotiate {
	uint32_t status;  /* an NTSTATUS; not 0: an SMB2 server that offers none of our dialects */
	uint16_t dialect; /* 0x0202 … 0x0311; 0 with such a status */
	uint16_t security_mode;            /* NEGOTIATE_SIGNING_REQUIRED, or not */
	uint8_t guid[NEGOTIATE_GUID_SIZE]; /* of the server. Samba fills in its NetBIOS name, so two
					    * servers may have one: weak evidence of being the same
					    */
	uint32_t max_read;                 /* bytes that one READ may ask for */
};

/* Random bytes of one request; the server learns nothing about the client from them. */
struct negotiate_random {
	uint8_t guid[NEGOTIATE_GUID_SIZE];
	uint8_t salt[NEGOTIATE_SALT_SIZE];
};

/* Append the request, whole. It is message 0 of its connection. Dialects 2.0.2 to 3.1.1. */
void negotiate_request(struct buf *out, const struct negotiate_random *random);

/* Read the answer; false if it is none that the protocol allows. */
bool negotiate_parse(struct negotiate *out, const struct smbframe *answer) MUST_USE;

#endif
