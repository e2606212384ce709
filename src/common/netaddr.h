/*
 * IP addresses and networks (CIDR), IPv4 and IPv6, as values. An IPv4-mapped IPv6 address is
 * the IPv4 address.
 *
 * PURE.
 */
#ifndef COMMON_NETADDR_H
#define COMMON_NETADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/macros.h"

#define NETADDR_TEXT_MAX 64 /* a network's text with its terminator */

struct netaddr {
	uint8_t family;    /* 4 or 6; 0 is no address */
	uint8_t bytes[16]; /* network order; the first 4 for IPv4, the others 0 */
};

struct netaddr_net {
	struct netaddr base; /* bits behind the prefix are 0 */
	uint8_t prefix;      /* 0 to 32, or 0 to 128 */
};

/* A literal address; no name, no zone, no brackets. */
bool netaddr_parse(struct netaddr *out, const char *text) MUST_USE;

/*
 * "10.1.0.0/16" or a bare address (its whole length). Host bits that are set are refused.
 * "::ffff:10.1.0.0/112" is the same network as the first.
 */
bool netaddr_parse_net(struct netaddr_net *out, const char *text) MUST_USE;

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);
bool netaddr_net_equal(const struct netaddr_net *a, const struct netaddr_net *b);
bool netaddr_net_contains(const struct netaddr_net *net, const struct netaddr *address);

/* Text in the usual form (RFC 5952 for IPv6); `dst` has room for NETADDR_TEXT_MAX. */
void netaddr_print(char *dst, const struct netaddr *a);
void netaddr_print_net(char *dst, const struct netaddr_net *net);

#endif
