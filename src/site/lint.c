#include "site/lint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "nal/decision.h"
#include "nal/shadow.h"
#include "site/vantage.h"
#include "site/whereabouts.h"

#define EXAMPLES_MAX 3

enum level {
	LEVEL_FAULT,   /* it cannot work */
	LEVEL_WARNING, /* it was probably not meant */
	LEVEL_NOTE,    /* worth knowing */
	LEVEL_COUNT_,
};

static const char *const level_names[] = { "fault", "warning", "note" };
static_assert(COUNT_OF(level_names) == LEVEL_COUNT_, "every level has a name");

enum finding {
	NO_CAP,
	NO_DP,
	BOUNDARY_TIE,
	GROUP_LOCKED_OUT,
	BOUNDARY_SHADOWED,
	GROUP_UNUSED,
	GROUP_WAITS,
	NEIGHBOUR_UNKNOWN,
	NEIGHBOUR_EMPTY,
	PREFER_UNKNOWN,
	CLIENT_OUTSIDE,
	PACKAGE_NOWHERE,
	PACKAGE_FAR,
	NEIGHBOUR_LATE,
	NEIGHBOUR_AT_ONCE,
	CLIENT_UNKNOWN,
	FINDING_COUNT_,
};

/* In the order in which they are listed. */
static const struct {
	const char *name;
	enum level level;
	const char *fix;
} findings[] = {
	[NO_CAP] = { "no-cap", LEVEL_FAULT, "packway-site cap add NAME URL" },
	[NO_DP] = { "no-dp", LEVEL_FAULT, "packway-site dp add NAME URL" },
	[BOUNDARY_TIE] = { "boundary-tie", LEVEL_FAULT, "packway-site boundary remove CIDR" },
	[GROUP_LOCKED_OUT] = { "group-locked-out", LEVEL_FAULT,
			       "give it a server, a neighbour that has one, or take the fence off" },
	[BOUNDARY_SHADOWED] = { "boundary-shadowed", LEVEL_WARNING,
				"packway-site boundary remove CIDR" },
	[GROUP_UNUSED] = { "group-unused", LEVEL_WARNING,
			   "give it a boundary, make it a neighbour, or remove it" },
	[GROUP_WAITS] = { "group-waits", LEVEL_WARNING,
			  "give it a server, or a neighbour with 0 minutes" },
	[NEIGHBOUR_UNKNOWN] = { "neighbour-unknown", LEVEL_WARNING,
				"add that group, or remove this one and add it anew" },
	[NEIGHBOUR_EMPTY] = { "neighbour-empty", LEVEL_WARNING,
			      "put a CAP or DP there: packway-site dp add NAME URL --group G" },
	[PREFER_UNKNOWN] = { "prefer-unknown", LEVEL_WARNING,
			     "add that server, or remove the group and add it anew" },
	[CLIENT_OUTSIDE] = { "client-outside", LEVEL_WARNING,
			     "packway-site boundary add CIDR --group G" },
	[PACKAGE_NOWHERE] = { "package-nowhere", LEVEL_WARNING,
			      "packway-site package distribute ID --all" },
	[PACKAGE_FAR] = { "package-far", LEVEL_WARNING,
			  "packway-site package distribute ID --dp NAME" },
	[NEIGHBOUR_LATE] = { "neighbour-late", LEVEL_NOTE,
			     "give it fewer minutes than --default-after" },
	[NEIGHBOUR_AT_ONCE] = { "neighbour-at-once", LEVEL_NOTE,
				"give it minutes if the way there is slow" },
	[CLIENT_UNKNOWN] = { "client-unknown", LEVEL_NOTE,
			     "let them report: packway sync, then packway-site intake" },
};
static_assert(COUNT_OF(findings) == FINDING_COUNT_, "every finding has a row");

/* What was counted, with the first few by name. */
struct examples {
	size_t count;
	struct buf names;
};

static void examples_release(struct examples *e)
{
	buf_release(&e->names);
}
SCOPED_RELEASE(examples);

static void add_example(struct examples *e, const char *name)
{
	if (e->count++ < EXAMPLES_MAX)
		buf_printf(&e->names, "%s%s", e->count > 1 ? ", " : "", name);
}

/* "a, b, c and 4 more" */
static const char *examples_text(struct examples *e)
{
	if (e->count > EXAMPLES_MAX)
		buf_printf(&e->names, " and %zu more", e->count - EXAMPLES_MAX);
	return buf_text(&e->names);
}

struct lint {
	struct site *site;
	struct vantage vantage;
	json_t *lists[FINDING_COUNT_];
	struct boundary_index *index;
	struct examples outside;
	struct examples unknown;
};

static void lint_release(struct lint *l)
{
	for (size_t i = 0; i < FINDING_COUNT_; i++)
		json_decref(l->lists[i]);
	vantage_release(&l->vantage);
	boundary_index_free(l->index);
	examples_release(&l->outside);
	examples_release(&l->unknown);
}
SCOPED_RELEASE(lint);

/* Takes over `text`. */
static void add(struct lint *l, enum finding what, const char *about, char *text)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "level", level_names[findings[what].level]);
	jsondoc_set_text(row, "finding", findings[what].name);
	jsondoc_set_text(row, "about", about);
	jsondoc_set(row, "text", jsondoc_new_text(text));
	jsondoc_set_text(row, "fix", findings[what].fix);
	json_array_append_new(l->lists[what], row);
	free(text);
}

/* ---- boundaries ---- */

static void look_at_net(struct lint *l, const struct boundary_group *g,
			const struct netaddr_net *net, bool is_shadowed)
{
	char text[NETADDR_TEXT_MAX];

	if (!is_shadowed)
		return;
	netaddr_print_net(text, net);
	add(l, BOUNDARY_SHADOWED, text,
	    alloc_printf("longer boundaries hold every address of it: no machine is in %s by it",
			 g->name));
}

static void look_at_boundaries(struct lint *l)
{
	const struct boundary_group *a, *b;
	struct netaddr_net *nets = NULL;
	size_t count = 0, at = 0;
	bool *is_shadowed;

	if (boundary_tie(&a, &b, l->vantage.systems.groups, l->vantage.systems.group_count))
		add(l, BOUNDARY_TIE, a->name,
		    alloc_printf("%s and %s have the same network", a->name, b->name));
	for (size_t g = 0; g < l->vantage.systems.group_count; g++)
		for (size_t i = 0; i < l->vantage.systems.groups[g].net_count; i++) {
			ALLOC_GROW(nets, count);
			nets[count++] = l->vantage.systems.groups[g].nets[i];
		}
	is_shadowed = alloc_zeroed(count, sizeof(*is_shadowed));
	shadow_find(is_shadowed, nets, count);
	for (size_t g = 0; g < l->vantage.systems.group_count; g++)
		for (size_t i = 0; i < l->vantage.systems.groups[g].net_count; i++, at++)
			look_at_net(l, &l->vantage.systems.groups[g], &nets[at], is_shadowed[at]);
	free(is_shadowed);
	free(nets);
}

/* ---- what a group's machines reach ---- */

static const char *wanted(enum kind kind)
{
	return kind == KIND_CAP ? "policy" : "every package";
}

static void look_at_reach(struct lint *l, const struct boundary_group *g, enum kind kind)
{
	const struct decision_about about = { .kind = kind, .time_s = site_now(l->site) };
	SCOPED(select_result) struct select_result result = { 0 };
	SCOPED(decision) struct decision *d = NULL;
	int64_t minutes;

	vantage_ask(&result, &l->vantage, g, kind);
	if (result.usable > 0)
		return;
	d = decision_new(&result, &about);
	minutes = (result.wait_until_s - site_now(l->site) + 59) / 60;
	if (result.wait == SELECT_WAIT_CHANGE)
		add(l, GROUP_LOCKED_OUT, g->name,
		    alloc_printf("its machines can never use any %s: %s",
				 kind == KIND_CAP ? "CAP" : "DP", d->because));
	else
		add(l, GROUP_WAITS, g->name,
		    alloc_printf("no %s is theirs: its machines wait %" PRId64 " min for %s",
				 kind == KIND_CAP ? "CAP" : "DP", minutes, wanted(kind)));
}

/* ---- groups ---- */

static size_t servers_of(const struct lint *l, const char *group, bool counts_caps)
{
	size_t count = 0;

	for (size_t i = 0; i < l->vantage.systems.place_count; i++) {
		const struct systems_place *p = &l->vantage.systems.places[i];

		if (p->group != NULL && strcmp(p->group, group) == 0 &&
		    (counts_caps || p->kind == KIND_DP))
			count++;
	}
	return count;
}

static bool is_neighbour(const struct lint *l, const char *name)
{
	for (size_t i = 0; i < l->vantage.systems.group_count; i++)
		if (boundary_neighbour_find(&l->vantage.systems.groups[i], name) != NULL)
			return true;
	return false;
}

static void look_at_minutes(struct lint *l, const struct boundary_group *g,
			    const struct boundary_neighbour *n)
{
	if (n->minutes == 0)
		add(l, NEIGHBOUR_AT_ONCE, g->name,
		    alloc_printf("what its own servers lack is read from %s at once, however many "
				 "machines want it",
				 n->group));
	else if (n->minutes > g->default_after_min)
		add(l, NEIGHBOUR_LATE, g->name,
		    alloc_printf("%s opens after %" PRIu32 " min, the site default already after "
				 "%" PRIu32,
				 n->group, n->minutes, g->default_after_min));
}

static void look_at_neighbour(struct lint *l, const struct boundary_group *g,
			      const struct boundary_neighbour *n)
{
	if (vantage_group(&l->vantage, n->group) == NULL) {
		add(l, NEIGHBOUR_UNKNOWN, g->name,
		    alloc_printf("its neighbour %s does not exist", n->group));
		return;
	}
	if (servers_of(l, n->group, true) == 0) {
		add(l, NEIGHBOUR_EMPTY, g->name,
		    alloc_printf("its neighbour %s has neither a CAP nor a DP", n->group));
		return;
	}
	look_at_minutes(l, g, n);
}

static bool entry_means_any(const struct lint *l, const struct preference_entry *entry)
{
	for (size_t i = 0; i < l->vantage.systems.place_count; i++) {
		const struct systems_place *p = &l->vantage.systems.places[i];

		if (preference_matches(entry, p->name, NULL, 0))
			return true;
		for (size_t k = 0; k < p->address_count; k++) {
			const struct locator *where = &p->addresses[k];

			if (preference_matches(entry, p->name, &where, 1))
				return true;
		}
	}
	return false;
}

static void look_at_preferred(struct lint *l, const struct boundary_group *g, const char *text)
{
	SCOPED(preference_entry) struct preference_entry entry = { 0 };
	struct err ignored;

	if (!preference_entry_parse(&entry, text, &ignored) || !entry_means_any(l, &entry))
		add(l, PREFER_UNKNOWN, g->name,
		    alloc_printf("it prefers %s, which is no CAP or DP", text));
}

static bool take_ids(struct examples *e, struct lint *l, enum site_statement statement,
		     const struct db_value *values, size_t count, struct err *err)
{
	SCOPED(db_rows) struct db_rows rows = db_query(l->site->db, statement, values, count);

	while (db_rows_next(&rows))
		add_example(e, db_rows_text(&rows, 0));
	return db_rows_finish(&rows, err);
}

/* Only where it has DPs: whoever has none is told by another finding. */
static bool look_at_packages(struct lint *l, const struct boundary_group *g, struct err *err)
{
	SCOPED(examples) struct examples e = { 0 };

	if (servers_of(l, g->name, false) == 0)
		return true;
	if (!take_ids(&e, l, STMT_GROUP_LACKS, DB_ARGS(db_text(g->name)), err))
		return false;
	if (e.count > 0)
		add(l, PACKAGE_FAR, g->name,
		    alloc_printf("%zu advertised packages are on no DP of it: its machines wait, "
				 "then read them across a link: %s",
				 e.count, examples_text(&e)));
	return true;
}

static bool look_at_group(struct lint *l, const struct boundary_group *g, struct err *err)
{
	for (size_t i = 0; i < g->neighbour_count; i++)
		look_at_neighbour(l, g, &g->neighbours[i]);
	for (size_t i = 0; i < g->prefer_count; i++)
		look_at_preferred(l, g, g->prefer[i]);
	if (g->net_count == 0) {
		if (!is_neighbour(l, g->name))
			add(l, GROUP_UNUSED, g->name,
			    alloc_text("it has no boundary and is nobody's neighbour: no machine "
				       "uses its servers"));
		return true;
	}
	for (size_t kind = 0; kind < KIND_COUNT_; kind++)
		if (l->vantage.candidates[kind].count > 0)
			look_at_reach(l, g, (enum kind)kind);
	return look_at_packages(l, g, err);
}

/* ---- clients ---- */

static void look_at_client(const struct whereabouts *where, void *ctx)
{
	struct lint *l = ctx;
	char address[NETADDR_TEXT_MAX];
	SCOPED_TEXT char *text = NULL;

	if (where->address_count == 0) {
		add_example(&l->unknown, where->name);
		return;
	}
	if (boundary_index_find(l->index, where->addresses, where->address_count).group != NULL)
		return;
	netaddr_print(address, &where->addresses[0]);
	text = alloc_printf("%s (%s)", where->name, address);
	add_example(&l->outside, text);
}

static bool look_at_clients(struct lint *l, struct err *err)
{
	l->index = boundary_index_new(l->vantage.systems.groups, l->vantage.systems.group_count);
	if (!whereabouts_each(l->site, look_at_client, l, err))
		return false;
	/* A site without groups has no boundaries to be outside of. */
	if (l->outside.count > 0 && l->vantage.systems.group_count > 0)
		add(l, CLIENT_OUTSIDE, NULL,
		    alloc_printf("%zu clients are in no boundary and use the servers without a "
				 "group: %s",
				 l->outside.count, examples_text(&l->outside)));
	if (l->unknown.count > 0)
		add(l, CLIENT_UNKNOWN, NULL,
		    alloc_printf("%zu clients have told no address yet: %s", l->unknown.count,
				 examples_text(&l->unknown)));
	return true;
}

/* ---- the whole ---- */

static bool look_at_site(struct lint *l, struct err *err)
{
	SCOPED(examples) struct examples e = { 0 };

	if (l->vantage.candidates[KIND_CAP].count == 0)
		add(l, NO_CAP, NULL, alloc_text("there is no CAP: no client can read policy"));
	if (l->vantage.candidates[KIND_DP].count == 0)
		add(l, NO_DP, NULL, alloc_text("there is no DP: no client can read content"));
	if (!take_ids(&e, l, STMT_PACKAGES_NOWHERE, DB_NO_ARGS, err))
		return false;
	if (e.count > 0)
		add(l, PACKAGE_NOWHERE, NULL,
		    alloc_printf("%zu advertised packages are on no DP in their latest version: %s",
				 e.count, examples_text(&e)));
	return true;
}

static bool look_at_all(struct lint *l, struct err *err)
{
	if (!look_at_site(l, err))
		return false;
	look_at_boundaries(l);
	for (size_t i = 0; i < l->vantage.systems.group_count; i++)
		if (!look_at_group(l, &l->vantage.systems.groups[i], err))
			return false;
	return look_at_clients(l, err);
}

bool lint_run(json_t **out, bool *is_clean_out, struct site *site, struct err *err)
{
	SCOPED(lint) struct lint l = { .site = site };

	for (size_t i = 0; i < FINDING_COUNT_; i++)
		l.lists[i] = json_array();
	if (!vantage_open(&l.vantage, site, err) || !look_at_all(&l, err))
		return false;
	*out = json_array();
	*is_clean_out = true;
	for (size_t i = 0; i < FINDING_COUNT_; i++) {
		json_array_extend(*out, l.lists[i]);
		if (findings[i].level != LEVEL_NOTE && json_array_size(l.lists[i]) > 0)
			*is_clean_out = false;
	}
	return true;
}
