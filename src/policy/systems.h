/*
 * What the policy documents say about servers, in the form that a choice takes it: the CAPs and DPs
 * of site.json with their addresses parsed, and the boundary groups.
 *
 *     systems_add_site, systems_add_group … → select_run → systems_release
 *
 * The client (agent/scene.c) and the site (site/whatif.c) build their choices from it alike, so
 * that the same documents mean the same to both.
 */
#ifndef POLICY_SYSTEMS_H
#define POLICY_SYSTEMS_H

#include <stddef.h>

#include "common/macros.h"
#include "nal/boundary.h"
#include "nal/kind.h"
#include "nal/locator.h"
#include "policy/docs.h"

/* One CAP or DP. It owns what it points to. */
struct systems_place {
	char *name;
	enum kind kind;
	char *uuid;  /* NULL: not known */
	char *group; /* NULL: the site default */
	struct locator *addresses;
	size_t address_count;
	char *inbox; /* a locator; NULL: beneath the addresses */
};

struct systems {
	struct systems_place *places;
	size_t place_count;
	struct boundary_group *groups; /* point into the documents below */
	size_t group_count;
	struct docs_group *group_docs; /* of each group */
	struct boundary_neighbour **neighbours;
};

void systems_release(struct systems *s);
SCOPED_RELEASE(systems);

/* Add every system of site.json; its texts are copied. */
void systems_add_site(struct systems *s, const struct docs_site *site);

/* Add a system of which only the name is known, and later an address. */
struct systems_place *systems_add_place(struct systems *s, enum kind kind, const char *name);

/*
 * Give it one more address. A kind of address that only newer programs know is left out with a
 * warning: it is no reason to lose the others.
 */
void systems_add_address(struct systems_place *place, const char *text);

/* Add a boundary group; the document's content is taken over. */
void systems_add_group(struct systems *s, const struct docs_group *doc);

#endif
