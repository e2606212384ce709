#include "nal/shadow.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

/* By family, base and length: whatever lies in a network follows it without a gap. */
static int compare(const void *left, const void *right)
{
	const struct netaddr_net *const *a = left, *const *b = right;
	int order;

	if ((*a)->base.family != (*b)->base.family)
		return (*a)->base.family < (*b)->base.family ? -1 : 1;
	order = memcmp((*a)->base.bytes, (*b)->base.bytes, sizeof((*a)->base.bytes));
	return order != 0 ? order : (int)(*a)->prefix - (int)(*b)->prefix;
}

static struct netaddr_net lower_half(const struct netaddr_net *net)
{
	struct netaddr_net half = *net;

	half.prefix++;
	return half;
}

static struct netaddr_net upper_half(const struct netaddr_net *net)
{
	struct netaddr_net half = lower_half(net);

	half.base.bytes[net->prefix / 8] |= (uint8_t)(0x80u >> net->prefix % 8);
	return half;
}

/* True if `count` networks, all within `net` and in order, cover it whole. */
static bool is_covered(const struct netaddr_net *net, const struct netaddr_net *const *within,
		       size_t count)
{
	struct netaddr_net lower, upper;
	size_t split = 0;

	if (count == 0)
		return false;
	if (netaddr_net_equal(within[0], net))
		return true;
	/* Something longer lies in it, so it has halves. */
	lower = lower_half(net);
	upper = upper_half(net);
	while (split < count && !netaddr_net_contains(&upper, &within[split]->base))
		split++;
	return is_covered(&lower, within, split) &&
	       is_covered(&upper, within + split, count - split);
}

static bool is_shadow(const struct netaddr_net *const *sorted, size_t at, size_t count)
{
	const struct netaddr_net *net = sorted[at];
	size_t from = at + 1, to;

	while (from < count && netaddr_net_equal(sorted[from], net))
		from++;
	for (to = from; to < count && netaddr_net_contains(net, &sorted[to]->base);)
		to++;
	return is_covered(net, sorted + from, to - from);
}

void shadow_find(bool *is_shadowed, const struct netaddr_net *nets, size_t count)
{
	const struct netaddr_net **sorted = alloc_zeroed(count, sizeof(const struct netaddr_net *));

	for (size_t i = 0; i < count; i++)
		sorted[i] = &nets[i];
	if (count > 0)
		qsort(sorted, count, sizeof(const struct netaddr_net *), compare);
	for (size_t i = 0; i < count; i++)
		is_shadowed[sorted[i] - nets] = is_shadow(sorted, i, count);
	free(sorted);
}
