#include "site/vantage.h"

#include <string.h>

#include "site/policydoc.h"

static bool find_candidates(struct vantage *v, struct err *err)
{
	static const struct candidates_knowledge nothing;

	for (size_t kind = 0; kind < KIND_COUNT_; kind++) {
		const struct candidates_question q = { .kind = (enum kind)kind };

		if (!candidates_find(&v->candidates[kind], &v->systems, &q, &nothing, err))
			return false;
	}
	return true;
}

bool vantage_open(struct vantage *out, struct site *site, struct err *err)
{
	*out = (struct vantage){ .now_s = site_now(site) };
	if (policydoc_systems(&out->systems, site, err) && find_candidates(out, err))
		return true;
	vantage_release(out);
	return false;
}

void vantage_release(struct vantage *v)
{
	for (size_t i = 0; i < KIND_COUNT_; i++)
		candidates_release(&v->candidates[i]);
	systems_release(&v->systems);
}

const struct boundary_group *vantage_group(const struct vantage *v, const char *name)
{
	for (size_t i = 0; i < v->systems.group_count; i++)
		if (strcmp(v->systems.groups[i].name, name) == 0)
			return &v->systems.groups[i];
	return NULL;
}

void vantage_ask(struct select_result *out, const struct vantage *v,
		 const struct boundary_group *group, enum kind kind)
{
	static const struct netaddr_net everywhere = { .base = { .family = 4 } };
	/* Alone, and everywhere: its own boundaries, and longer ones of others, play no part. */
	struct boundary_group alone = *group;
	const struct select_input input = {
		.kind = kind,
		.object = kind_name(kind),
		.candidates = v->candidates[kind].items,
		.count = v->candidates[kind].count,
		.groups = &alone,
		.group_count = 1,
		.addresses = &everywhere.base,
		.address_count = 1,
		.now_s = v->now_s,
	};

	alone.nets = &everywhere;
	alone.net_count = 1;
	select_run(out, &input);
	out->match.group = group; /* what the result points to lasts */
}
