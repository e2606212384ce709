/*
 * One TCP connection being made: name resolution in a time box, then connects to the addresses of
 * the name, each a quarter of a second after the one before or as soon as that failed.
 *
 *     dial_begin → { wait for dial_poll's descriptors, dial_step } until it is no longer DIAL_BUSY
 *     → dial_take → dial_free
 *
 * Nothing blocks but dial_wait. All of it stays within `timeout_ms` of dial_begin. Linux only.
 */
#ifndef NAL_DIAL_H
#define NAL_DIAL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "nal/class.h"
#include "nal/way.h"

#define DIAL_ADDRESSES_MAX 8 /* of one name; further ones are not tried */
#define DIAL_POLL_MAX      DIAL_ADDRESSES_MAX

enum dial_state {
	DIAL_BUSY,
	DIAL_CONNECTED, /* dial_take gives the socket */
	DIAL_FAILED,    /* dial_fault says why */
};

struct dial;

/* Start for a host name or literal address. Never NULL: what fails at once shows in dial_step. */
struct dial *dial_begin(const char *host, uint16_t port, uint32_t timeout_ms, uint64_t now_ms)
	MUST_USE;

/* Abandon whatever is under way. NULL is fine. */
void dial_free(struct dial *d);
SCOPED_FREE(dial);

/* Store what to wait for, at most DIAL_POLL_MAX descriptors; returns their number. */
size_t dial_poll(const struct dial *d, struct pollfd *out);

/* In how many ms dial_step has something to do whatever the descriptors say. */
uint32_t dial_wait_ms(const struct dial *d, uint64_t now_ms);

/* Go on as far as possible without waiting. */
enum dial_state dial_step(struct dial *d, uint64_t now_ms);

/* After DIAL_CONNECTED: the socket (non-blocking, TCP_NODELAY) and the address it went to. */
struct way_link dial_take(struct dial *d);

/* After DIAL_FAILED: why. NAL_CLASS_TIMEOUT or NAL_CLASS_UNREACHABLE, with a fine ERR_NET_ code. */
enum nal_class dial_fault(const struct dial *d, struct err *err);

/* The whole of it, blocking. */
enum nal_class dial_wait(struct way_link *out, const char *host, uint16_t port, uint32_t timeout_ms,
			 struct err *err) MUST_USE;

#endif
