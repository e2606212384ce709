/*
 * Whether the machines of a boundary group reach a CAP and a DP at all, asked of the choice itself:
 * for something that every server of a kind has, by the group's own settings alone.
 */
#ifndef SITE_VANTAGE_H
#define SITE_VANTAGE_H

#include "nal/select.h"
#include "policy/candidates.h"
#include "site/site.h"

struct vantage {
	struct systems systems;
	struct candidates candidates[KIND_COUNT_];
	int64_t now_s;
};

/* As the next publish will write it; inside a transaction as that has made it. */
bool vantage_open(struct vantage *out, struct site *site, struct err *err) MUST_USE;
void vantage_release(struct vantage *v);
SCOPED_RELEASE(vantage);

/* The group of that name; NULL: none. */
const struct boundary_group *vantage_group(const struct vantage *v, const char *name);

/* What a machine of the group would choose; the caller releases `out`. */
void vantage_ask(struct select_result *out, const struct vantage *v,
		 const struct boundary_group *group, enum kind kind);

#endif
