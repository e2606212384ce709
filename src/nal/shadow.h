/*
 * Networks that no address falls into, since longer ones cover them whole.
 *
 * PURE.
 */
#ifndef NAL_SHADOW_H
#define NAL_SHADOW_H

#include <stdbool.h>
#include <stddef.h>

#include "common/netaddr.h"

/* Set is_shadowed[i] for each of the networks; the longest prefix wins, as in boundary_find. */
void shadow_find(bool *is_shadowed, const struct netaddr_net *nets, size_t count);

#endif
