#include "nal/arrival.h"

#include <inttypes.h>
#include <string.h>

#include "common/text.h"

/* Names of JSON, and what stands behind "came" and before "were". */
static const struct {
	const char *name, *came, *other;
} hows[] = {
	[ARRIVAL_UNKNOWN] = { "unknown", "", "" },
	[ARRIVAL_NONE] = { "none", "", "" },
	[ARRIVAL_RANGES] = { "ranges", "as ranges", "ranges were" },
	[ARRIVAL_PATCH] = { "patch", "as a patch", "a patch was" },
	[ARRIVAL_STREAM] = { "stream", "as a first-install stream", "a first-install stream was" },
};
static_assert(COUNT_OF(hows) == ARRIVAL_HOW_COUNT_, "every kind has its words");

const char *arrival_how_name(enum arrival_how how)
{
	return hows[how].name;
}

bool arrival_how_parse(enum arrival_how *out, const char *text)
{
	for (int i = ARRIVAL_NONE; i < ARRIVAL_HOW_COUNT_; i++) {
		if (strcmp(hows[i].name, text) != 0)
			continue;
		*out = (enum arrival_how)i;
		return true;
	}
	return false;
}

static void put_requests(struct buf *out, uint64_t requests)
{
	buf_printf(out, " in %" PRIu64, requests);
}

void arrival_print(struct buf *out, const struct arrival *a)
{
	char size[32];

	if (a->cost.how == ARRIVAL_UNKNOWN)
		return;
	if (a->cost.how == ARRIVAL_NONE) {
		buf_put_text(out, "every byte of it was here");
		return;
	}
	if (a->by_mount) {
		buf_printf(out, "a mount has it come %s, as they are read", hows[a->cost.how].came);
		return;
	}
	text_print_size(size, a->cost.bytes);
	buf_printf(out, "%s came %s", size, hows[a->cost.how].came);
	put_requests(out, a->cost.requests);
	buf_put_text(out, a->cost.requests == 1 ? " request" : " requests");
	if (a->instead.how == ARRIVAL_UNKNOWN)
		return;
	text_print_size(size, a->instead.bytes);
	buf_printf(out, ", where %s %s", hows[a->instead.how].other, size);
	put_requests(out, a->instead.requests);
}

static void set_cost(json_t *doc, const struct arrival_cost *cost)
{
	jsondoc_set_text(doc, "how", arrival_how_name(cost->how));
	jsondoc_set_int(doc, "bytes_network", (int64_t)cost->bytes);
	jsondoc_set_int(doc, "requests", (int64_t)cost->requests);
}

void arrival_set(json_t *doc, const struct arrival *a)
{
	if (a->cost.how == ARRIVAL_UNKNOWN)
		return;
	set_cost(doc, &a->cost);
	if (a->by_mount)
		jsondoc_set_flag(doc, "by_mount", true);
	if (a->instead.how != ARRIVAL_UNKNOWN) {
		json_t *instead = json_object();

		set_cost(instead, &a->instead);
		jsondoc_set(doc, "instead", instead);
	}
}

static bool cost_parse(struct arrival_cost *out, const json_t *doc, struct err *err)
{
	const char *how = jsondoc_text(doc, "how");
	int64_t bytes, requests;

	*out = (struct arrival_cost){ .how = ARRIVAL_UNKNOWN };
	if (how == NULL)
		return true;
	if (!arrival_how_parse(&out->how, how))
		return err_set(err, ERR_FORMAT, "content does not come by '%.32s'", how);
	if (!jsondoc_need_int(&bytes, doc, "bytes_network", 0, JSONDOC_INT_MAX, err) ||
	    !jsondoc_need_int(&requests, doc, "requests", 0, JSONDOC_INT_MAX, err))
		return false;
	out->bytes = (uint64_t)bytes;
	out->requests = (uint64_t)requests;
	return true;
}

bool arrival_parse(struct arrival *out, const json_t *doc, struct err *err)
{
	out->by_mount = jsondoc_flag(doc, "by_mount", false);
	return cost_parse(&out->cost, doc, err) &&
	       cost_parse(&out->instead, json_object_get(doc, "instead"), err);
}
