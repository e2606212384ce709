#include "nal/terms.h"

#include <string.h>

static const struct terms_policy policies[] = {
	{
		.name = "existing",
		.summary = "the open way first: what the manual of SMS 2.0 promised",
		.terms = { TERMS_SESSION, TERMS_MOUNT, TERMS_STICKY, TERMS_GOODPUT, TERMS_RANDOM },
		.count = 5,
		.slow_ratio = 4,
	},
	{
		.name = "sms2",
		.summary = "drawn at random, open ways not looked at: what SMS 2.0 did (Q226113)",
		.terms = { TERMS_RANDOM },
		.count = 1,
		.one_tier = true,
		.ladder_first = true,
		.ignores_mounts = true,
	},
	{
		.name = "nearest",
		.summary = "what real transfers measured as fastest",
		.terms = { TERMS_GOODPUT, TERMS_SESSION, TERMS_MOUNT, TERMS_STICKY, TERMS_RANDOM },
		.count = 5,
		.slow_ratio = 4,
	},
	{
		.name = "random",
		.summary = "drawn at random inside the nearest tier",
		.terms = { TERMS_RANDOM },
		.count = 1,
	},
	{
		.name = "preferred-only",
		.summary = "preferred servers and no others",
		.terms = { TERMS_SESSION, TERMS_MOUNT, TERMS_STICKY, TERMS_GOODPUT, TERMS_RANDOM },
		.count = 5,
		.only_preferred = true,
		.slow_ratio = 4,
	},
};

const struct terms_policy *terms_default(void)
{
	return &policies[0];
}

const struct terms_policy *terms_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(policies); i++)
		if (strcmp(policies[i].name, name) == 0)
			return &policies[i];
	return NULL;
}

bool terms_need(const struct terms_policy **out, const char *name, struct err *err)
{
	*out = terms_find(name);
	return *out != NULL || err_set(err, ERR_USAGE, "'%.64s' is no choice policy", name) ||
	       err_fix(err, "use existing, sms2, nearest, random or preferred-only");
}

const struct terms_policy *terms_all(size_t *count_out)
{
	*count_out = COUNT_OF(policies);
	return policies;
}

bool terms_looks_at_ways(const struct terms_policy *policy)
{
	for (size_t i = 0; i < policy->count; i++)
		if (policy->terms[i] == TERMS_SESSION || policy->terms[i] == TERMS_MOUNT)
			return true;
	return false;
}
