#include "nal/boundary.h"

#include <string.h>

/* True if a match by `net` of `group` comes before what was found so far for the same or an
 * earlier address. */
static bool comes_first(const struct boundary_match *best, const struct boundary_group *group,
			const struct netaddr_net *net, const struct netaddr *address)
{
	if (best->group == NULL)
		return true;
	if (net->prefix != best->net->prefix)
		return net->prefix > best->net->prefix;
	return address == best->address && strcmp(group->name, best->group->name) < 0;
}

struct boundary_match boundary_find(const struct boundary_group *groups, size_t group_count,
				    const struct netaddr *addresses, size_t address_count)
{
	struct boundary_match best = { 0 };

	for (size_t a = 0; a < address_count; a++) {
		for (size_t g = 0; g < group_count; g++) {
			for (size_t n = 0; n < groups[g].net_count; n++) {
				const struct netaddr_net *net = &groups[g].nets[n];

				if (netaddr_net_contains(net, &addresses[a]) &&
				    comes_first(&best, &groups[g], net, &addresses[a]))
					best = (struct boundary_match){ &groups[g], net,
									&addresses[a] };
			}
		}
	}
	return best;
}

const struct boundary_neighbour *boundary_neighbour_find(const struct boundary_group *of,
							 const char *group)
{
	for (size_t i = 0; i < of->neighbour_count; i++)
		if (strcmp(of->neighbours[i].group, group) == 0)
			return &of->neighbours[i];
	return NULL;
}

static bool share_a_net(const struct boundary_group *a, const struct boundary_group *b)
{
	for (size_t i = 0; i < a->net_count; i++)
		for (size_t k = 0; k < b->net_count; k++)
			if (netaddr_net_equal(&a->nets[i], &b->nets[k]))
				return true;
	return false;
}

bool boundary_tie(const struct boundary_group **a_out, const struct boundary_group **b_out,
		  const struct boundary_group *groups, size_t group_count)
{
	for (size_t i = 0; i < group_count; i++) {
		for (size_t k = i + 1; k < group_count; k++) {
			if (!share_a_net(&groups[i], &groups[k]))
				continue;
			*a_out = &groups[i];
			*b_out = &groups[k];
			return true;
		}
	}
	return false;
}
