#include "policy/systems.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"

static void release_place(struct systems_place *p)
{
	for (size_t i = 0; i < p->address_count; i++)
		locator_release(&p->addresses[i]);
	free(p->addresses);
	free(p->name);
	free(p->uuid);
	free(p->group);
	free(p->inbox);
}

void systems_release(struct systems *s)
{
	for (size_t i = 0; i < s->place_count; i++)
		release_place(&s->places[i]);
	for (size_t i = 0; i < s->group_count; i++) {
		docs_group_release(&s->group_docs[i]);
		free(s->neighbours[i]);
	}
	free(s->places);
	free(s->groups);
	free(s->group_docs);
	free(s->neighbours);
	*s = (struct systems){ 0 };
}

/* ---- CAPs and DPs ---- */

struct systems_place *systems_add_place(struct systems *s, enum kind kind, const char *name)
{
	ALLOC_GROW(s->places, s->place_count);
	s->places[s->place_count] = (struct systems_place){
		.name = alloc_text(name),
		.kind = kind,
	};
	return &s->places[s->place_count++];
}

void systems_add_address(struct systems_place *place, const char *text)
{
	struct locator where = { 0 };
	struct err err;

	if (!locator_parse_argument(&where, text, &err)) {
		log_warn("%s: address \"%s\": %s", place->name, text, err.why);
		return;
	}
	ALLOC_GROW(place->addresses, place->address_count);
	place->addresses[place->address_count++] = where;
}

static void add_system(struct systems *s, const struct docs_system *d)
{
	struct systems_place *p = systems_add_place(s, d->kind == DOCS_CAP ? KIND_CAP : KIND_DP,
						    d->name);

	p->uuid = alloc_text(d->uuid);
	p->group = alloc_text(d->group);
	p->inbox = alloc_text(d->inbox);
	for (size_t i = 0; i < d->address_count; i++)
		systems_add_address(p, d->addresses[i]);
}

void systems_add_site(struct systems *s, const struct docs_site *site)
{
	for (size_t i = 0; i < site->system_count; i++)
		add_system(s, &site->systems[i]);
}

/* ---- boundary groups ---- */

static struct boundary_neighbour *new_neighbours(const struct docs_group *d)
{
	struct boundary_neighbour *list = alloc_zeroed(d->neighbour_count, sizeof(*list));

	for (size_t i = 0; i < d->neighbour_count; i++) {
		list[i].group = d->neighbours[i].group;
		list[i].minutes = (uint32_t)d->neighbours[i].minutes;
	}
	return list;
}

static struct boundary_group new_group(const struct docs_group *d,
				       const struct boundary_neighbour *neighbours)
{
	return (struct boundary_group){
		.name = d->name,
		.nets = d->boundaries,
		.net_count = d->boundary_count,
		.neighbours = neighbours,
		.neighbour_count = d->neighbour_count,
		.default_after_min = d->default_after_min == DOCS_NEVER
					     ? BOUNDARY_NEVER
					     : (uint32_t)d->default_after_min,
		.is_fenced = d->fence,
		.ways_cross_tiers = d->cross_tier,
		.policy = d->policy,
		.prefer = (const char *const *)d->prefer,
		.prefer_count = d->prefer_count,
	};
}

void systems_add_group(struct systems *s, const struct docs_group *doc)
{
	size_t n = s->group_count;

	ALLOC_GROW(s->group_docs, n);
	ALLOC_GROW(s->neighbours, n);
	ALLOC_GROW(s->groups, n);
	s->group_docs[n] = *doc;
	s->neighbours[n] = new_neighbours(doc);
	s->groups[n] = new_group(doc, s->neighbours[n]);
	s->group_count++;
}
