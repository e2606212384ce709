/*
 * The addresses a client is known by: those of interfaces that are up and have a carrier, loopback
 * only where there is no other; or those that configuration says in their place (tests, NAT).
 *
 * Looking at them asks the kernel and nobody else.
 */
#ifndef AGENT_ADDRESSES_H
#define AGENT_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/netaddr.h"

#define ADDRESSES_MAX 64

/*
 * Fill `out` (room for ADDRESSES_MAX); returns how many. `configured` is a list separated by commas
 * or blanks, or NULL; ERR_CONFIG (-1 is returned) if it holds what is no address. Link-local IPv6
 * addresses are left out: they say nothing about where a machine is.
 */
int addresses_find(struct netaddr *out, const char *configured, struct err *err) MUST_USE;

/* The network that goodput figures are kept by: the /24 or /64 of an address; `dst` as for
 * netaddr_print. */
void addresses_network(char *dst, const struct netaddr *address);

#endif
