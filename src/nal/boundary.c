#include "nal/boundary.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

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

/* ---- the index ---- */

struct entry {
	const struct boundary_group *group;
	const struct netaddr_net *net;
};

/* Entries of one family and length lie together: the longest prefix first, then by base. */
struct boundary_index {
	struct entry *entries;
	size_t count;
	size_t *runs; /* where a family and length begins; the last is `count` */
	size_t run_count;
};

static int compare_lengths(const struct netaddr_net *a, const struct netaddr_net *b)
{
	if (a->base.family != b->base.family)
		return a->base.family < b->base.family ? -1 : 1;
	if (a->prefix != b->prefix)
		return a->prefix > b->prefix ? -1 : 1;
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = compare_lengths(a->net, b->net);

	if (order == 0)
		order = memcmp(a->net->base.bytes, b->net->base.bytes, sizeof(a->net->base.bytes));
	if (order == 0)
		order = strcmp(a->group->name, b->group->name);
	return order;
}

static void add_entries(struct boundary_index *index, const struct boundary_group *group)
{
	for (size_t i = 0; i < group->net_count; i++) {
		ALLOC_GROW(index->entries, index->count);
		index->entries[index->count++] = (struct entry){ group, &group->nets[i] };
	}
}

static void find_runs(struct boundary_index *index)
{
	for (size_t i = 0; i <= index->count; i++) {
		bool goes_on = i > 0 && i < index->count &&
			       compare_lengths(index->entries[i - 1].net, index->entries[i].net) ==
				       0;

		if (goes_on)
			continue;
		ALLOC_GROW(index->runs, index->run_count);
		index->runs[index->run_count++] = i;
	}
}

struct boundary_index *boundary_index_new(const struct boundary_group *groups, size_t group_count)
{
	struct boundary_index *index = alloc_zeroed(1, sizeof(*index));

	for (size_t i = 0; i < group_count; i++)
		add_entries(index, &groups[i]);
	if (index->count > 0)
		qsort(index->entries, index->count, sizeof(*index->entries), compare_entries);
	find_runs(index);
	return index;
}

void boundary_index_free(struct boundary_index *index)
{
	if (index == NULL)
		return;
	free(index->entries);
	free(index->runs);
	free(index);
}

/* The first entry of [from, to) that is not before the network; all are of one length. */
static size_t lower_bound(const struct boundary_index *index, size_t from, size_t to,
			  const struct netaddr *base)
{
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		const struct netaddr_net *net = index->entries[middle].net;

		if (memcmp(net->base.bytes, base->bytes, sizeof(base->bytes)) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static struct netaddr base_of(const struct netaddr *address, uint8_t prefix)
{
	struct netaddr base = *address;

	for (size_t i = 0; i < sizeof(base.bytes); i++) {
		size_t bits = MIN_OF(prefix > 8 * i ? prefix - 8 * i : 0, (size_t)8);

		base.bytes[i] &= (uint8_t)(0xff00u >> bits);
	}
	return base;
}

static const struct entry *find_entry(const struct boundary_index *index,
				      const struct netaddr *address)
{
	for (size_t r = 0; r + 1 < index->run_count; r++) {
		const struct netaddr_net *net = index->entries[index->runs[r]].net;
		struct netaddr base = base_of(address, net->prefix);
		size_t at;

		if (net->base.family != address->family)
			continue;
		at = lower_bound(index, index->runs[r], index->runs[r + 1], &base);
		if (at < index->runs[r + 1] &&
		    memcmp(index->entries[at].net->base.bytes, base.bytes, sizeof(base.bytes)) == 0)
			return &index->entries[at];
	}
	return NULL;
}

struct boundary_match boundary_index_find(const struct boundary_index *index,
					  const struct netaddr *addresses, size_t address_count)
{
	struct boundary_match best = { 0 };

	for (size_t a = 0; a < address_count; a++) {
		const struct entry *e = find_entry(index, &addresses[a]);

		if (e != NULL && comes_first(&best, e->group, e->net, &addresses[a]))
			best = (struct boundary_match){ e->group, e->net, &addresses[a] };
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
