/*
 * Boundary groups: which group a client is in, by the addresses it has.
 *
 * The longest prefix over all groups and all of the client's addresses wins. Two networks of equal
 * length that both hold an address are an error that the site refuses; here the order is: the
 * client's earlier address, then the group whose name sorts first, so that every machine and the
 * site's what-if agree.
 *
 * PURE.
 */
#ifndef NAL_BOUNDARY_H
#define NAL_BOUNDARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/netaddr.h"

#define BOUNDARY_NEVER           UINT32_MAX /* minutes: that tier never opens */
#define BOUNDARY_MINUTES_DEFAULT 120

struct boundary_neighbour {
	const char *group;
	uint32_t minutes; /* wait before its servers may be used; BOUNDARY_NEVER */
};

/* Everything is borrowed from whoever made it. */
struct boundary_group {
	const char *name;
	const struct netaddr_net *nets;
	size_t net_count;
	const struct boundary_neighbour *neighbours;
	size_t neighbour_count;
	uint32_t default_after_min; /* wait before the site default opens; BOUNDARY_NEVER */
	bool is_fenced;             /* no server outside the group and its neighbours, ever */
	bool ways_cross_tiers;      /* open-ways: cross-tier */
	const char *policy;         /* NULL: not said */
	const char *const *prefer;  /* systems preferred by the site, as names or locators */
	size_t prefer_count;
};

struct boundary_match {
	const struct boundary_group *group; /* NULL: the client is in no boundary */
	const struct netaddr_net *net;
	const struct netaddr *address;
};

/* The group of a client with these addresses, in their stated order. */
struct boundary_match boundary_find(const struct boundary_group *groups, size_t group_count,
				    const struct netaddr *addresses, size_t address_count);

/*
 * The same for very many clients: an index over all networks, which says what boundary_find says.
 * The groups outlive it.
 */
struct boundary_index;
struct boundary_index *boundary_index_new(const struct boundary_group *groups, size_t group_count)
	MUST_USE;
void boundary_index_free(struct boundary_index *index);
SCOPED_FREE(boundary_index);
struct boundary_match boundary_index_find(const struct boundary_index *index,
					  const struct netaddr *addresses, size_t address_count);

/* The neighbour entry for `group` (a name), or NULL. */
const struct boundary_neighbour *boundary_neighbour_find(const struct boundary_group *of,
							 const char *group);

/*
 * The first pair of groups that both claim one network of the same length, or false. The site
 * refuses such a tie when it is made.
 */
bool boundary_tie(const struct boundary_group **a_out, const struct boundary_group **b_out,
		  const struct boundary_group *groups, size_t group_count);

#endif
