#include "site/dpplan.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "site/deltas.h"
#include "site/distribute.h"
#include "site/package.h"
#include "site/system.h"
#include "site/wanted.h"

struct dpplan {
	struct site *site;
	const char *package;
	struct system_list systems;
	struct wanted_list *wanted; /* for each system; empty: not asked for */
};

static void dpplan_release(struct dpplan *p)
{
	for (size_t i = 0; p->wanted != NULL && i < p->systems.count; i++)
		wanted_list_release(&p->wanted[i]);
	free(p->wanted);
	system_list_release(&p->systems);
}
SCOPED_RELEASE(dpplan);

static bool is_asked(const struct system *system, const char *const *dps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(dps[i], system->name) == 0)
			return true;
	return count == 0;
}

/* As it would be if the DPs were to hold the package; the transaction is given up. */
static bool suppose(struct dpplan *p, const char *const *dps, size_t dp_count, struct err *err)
{
	SITE_UNDO struct site *undo = p->site;

	if (!site_begin(p->site, err) ||
	    !distribute_want_within(p->site, p->package, dps, dp_count, err))
		return false;
	for (size_t i = 0; i < p->systems.count; i++)
		if (is_asked(&p->systems.items[i], dps, dp_count) &&
		    !wanted_load(&p->wanted[i], p->site, p->systems.items[i].id, WANTED_DUE, err))
			return false;
	return true;
}

/* What one version still costs on one DP. */
struct cost {
	struct site *site;
	int64_t dp;
	int64_t objects;
	int64_t bytes;
};

static bool add_cost(void *ctx, const char *name, const struct index_object *object,
		     struct err *err)
{
	struct cost *cost = ctx;
	int64_t is_there;

	if (!db_number(&is_there, cost->site->db, STMT_DP_OBJECT_EXISTS,
		       DB_ARGS(db_int(cost->dp), db_text(name)), 0, err))
		return false;
	if (is_there == 0) {
		cost->objects++;
		cost->bytes += (int64_t)object->size;
	}
	return true;
}

/* Its rate holds for what goes there and for what is read back. */
static json_t *seconds_of(const struct system *dp, int64_t bytes)
{
	uint64_t moved = 2 * (uint64_t)bytes;

	if (dp->max_rate == 0)
		return json_null();
	return json_integer((json_int_t)((moved + dp->max_rate - 1) / dp->max_rate));
}

static json_t *row_of(const struct system *dp, const struct wanted *item, const struct cost *cost)
{
	json_t *row = json_object();

	jsondoc_set_text(row, "dp", dp->name);
	jsondoc_set_text(row, "group", dp->group);
	jsondoc_set_int(row, "version", item->version);
	jsondoc_set_text(row, "state",
			 item->is_valid      ? "valid"
			 : item->is_addition ? "valid, patches follow"
					     : "to copy");
	jsondoc_set_int(row, "objects", cost->objects);
	jsondoc_set_int(row, "bytes", cost->bytes);
	jsondoc_set(row, "max_rate",
		    dp->max_rate > 0 ? json_integer((json_int_t)dp->max_rate) : json_null());
	jsondoc_set(row, "seconds", seconds_of(dp, cost->bytes));
	jsondoc_set_text(row, "window", dp->window);
	jsondoc_set_flag(row, "external", dp->is_external);
	return row;
}

static json_t *link_of(json_t *links, const char *group)
{
	json_t *link;
	size_t i;

	json_array_foreach (links, i, link) {
		const char *name = jsondoc_text(link, "group");

		if ((name == NULL && group == NULL) ||
		    (name != NULL && group != NULL && strcmp(name, group) == 0))
			return link;
	}
	link = json_object();
	jsondoc_set_text(link, "group", group);
	jsondoc_set_int(link, "dps", 0);
	jsondoc_set_int(link, "bytes", 0);
	jsondoc_set(link, "seconds", json_null());
	json_array_append_new(links, link);
	return link;
}

static void add_to_link(json_t *links, const struct system *dp, int64_t bytes)
{
	json_t *link = link_of(links, dp->group);
	json_auto_t *seconds = seconds_of(dp, bytes);

	/* Others carry what an external DP gets. */
	if (dp->is_external)
		return;
	jsondoc_set_int(link, "dps", jsondoc_int(link, "dps", 0) + 1);
	jsondoc_set_int(link, "bytes", jsondoc_int(link, "bytes", 0) + bytes);
	if (json_integer_value(seconds) > jsondoc_int(link, "seconds", -1) &&
	    json_is_integer(seconds))
		jsondoc_set(link, "seconds", json_incref(seconds));
}

static bool plan_dp(json_t *rows, json_t *links, struct dpplan *p, size_t number, struct err *err)
{
	const struct system *dp = &p->systems.items[number];
	const struct wanted_list *wanted = &p->wanted[number];
	int64_t sum = 0;
	bool is_meant = false;

	for (size_t i = 0; i < wanted->count; i++) {
		struct cost cost = { .site = p->site, .dp = dp->id };

		if (strcmp(wanted->items[i].package, p->package) != 0)
			continue;
		if (!wanted->items[i].is_valid &&
		    !wanted_each_object(p->site, &wanted->items[i], add_cost, &cost, err))
			return false;
		json_array_append_new(rows, row_of(dp, &wanted->items[i], &cost));
		sum += cost.bytes;
		is_meant = true;
	}
	if (is_meant)
		add_to_link(links, dp, sum);
	return true;
}

static bool count_patches(int64_t *out, struct site *site, const char *package, struct err *err)
{
	SCOPED(package_info) struct package_info info = { 0 };

	return package_load(&info, site, package, err) &&
	       db_number(
		       out, site->db, STMT_DELTA_TO_MAKE,
		       DB_ARGS(db_text(package), db_int(info.latest), db_int(site->patch_versions)),
		       0, err);
}

bool dpplan_make(json_t **out, struct site *site, const char *package, const char *const *dps,
		 size_t dp_count, struct err *err)
{
	SCOPED(dpplan) struct dpplan p = { .site = site, .package = package };
	json_auto_t *doc = json_object();
	json_t *rows = json_array(), *links = json_array();
	int64_t patches = 0;

	jsondoc_set_text(doc, "package", package);
	jsondoc_set(doc, "dps", rows);
	jsondoc_set(doc, "links", links);
	if (!system_load(&p.systems, site, MARKER_DP, SYSTEM_LIVE, err) ||
	    !count_patches(&patches, site, package, err))
		return false;
	p.wanted = alloc_zeroed(MAX_OF(p.systems.count, 1), sizeof(*p.wanted));
	if (!suppose(&p, dps, dp_count, err))
		return false;
	for (size_t i = 0; i < p.systems.count; i++)
		if (!plan_dp(rows, links, &p, i, err))
			return false;
	jsondoc_set_int(doc, "patches_to_make", patches);
	*out = json_incref(doc);
	return true;
}
