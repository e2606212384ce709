#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/text.h"
#include "policy/docs_read.h"

#define MINUTES_MAX (366 * 24 * 60)

static bool read_boundaries(struct docs_group *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "boundaries", DOCS_BOUNDARIES_MAX, err))
		return false;
	out->boundaries = alloc_zeroed(json_array_size(array), sizeof(*out->boundaries));
	json_array_foreach (array, i, item) {
		const char *text = json_string_value(item);

		if (text == NULL || !netaddr_parse_net(&out->boundaries[i], text))
			return err_set(err, ERR_FORMAT, "boundary %zu is no network: \"%s\"", i + 1,
				       text != NULL ? text : "");
	}
	out->boundary_count = json_array_size(array);
	return true;
}

static bool read_neighbours(struct docs_group *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "neighbours", DOCS_GROUPS_MAX, err))
		return false;
	out->neighbours = alloc_zeroed(json_array_size(array), sizeof(*out->neighbours));
	json_array_foreach (array, i, item) {
		struct docs_neighbour *n = &out->neighbours[out->neighbour_count++];

		if (!docs_read_checked(&n->group, item, "group", text_is_name, err) ||
		    !jsondoc_need_int(&n->minutes, item, "minutes", 0, MINUTES_MAX, err))
			return false;
	}
	return true;
}

static bool read_open_ways(struct docs_group *out, struct err *err)
{
	const char *where;

	if (!jsondoc_need_text(&where, out->json, "open_ways", err))
		return false;
	out->cross_tier = strcmp(where, "cross-tier") == 0;
	return out->cross_tier || strcmp(where, "in-tier") == 0 ||
	       err_set(err, ERR_FORMAT, "\"open_ways\" is neither in-tier nor cross-tier: \"%s\"",
		       where);
}

/* Both are later additions: absent means no limit. */
static bool read_limits(struct docs_group *out, struct err *err)
{
	struct clock_window window;
	int64_t rate = 0;

	if (json_object_get(out->json, "max_rate") != NULL &&
	    !docs_read_optional_int(&rate, out->json, "max_rate", 1, INT64_MAX, err))
		return false;
	out->max_rate = rate > 0 ? (uint64_t)rate : 0;
	if (json_object_get(out->json, "window") == NULL)
		return true;
	return docs_read_text(&out->window, out->json, "window", err) &&
	       (out->window == NULL || clock_window_parse(&window, out->window) ||
		err_set(err, ERR_FORMAT, "\"window\" is not HH:MM-HH:MM"));
}

static bool read_group(struct docs_group *out, struct err *err)
{
	const json_t *doc = out->json;

	out->fence = jsondoc_flag(doc, "fence", false);
	return docs_read_checked(&out->name, doc, "name", text_is_name, err) &&
	       read_boundaries(out, err) && read_neighbours(out, err) &&
	       docs_read_optional_int(&out->default_after_min, doc, "default_after_minutes", 0,
				      MINUTES_MAX, err) &&
	       docs_read_text(&out->policy, doc, "policy", err) &&
	       docs_read_new_texts(&out->prefer, &out->prefer_count, doc, "prefer",
				   DOCS_SYSTEMS_MAX, err) &&
	       read_open_ways(out, err) && read_limits(out, err);
}

bool docs_group_parse(struct docs_group *out, struct span bytes, struct err *err)
{
	*out = (struct docs_group){ 0 };
	if (docs_read_frame(&out->json, bytes, err) && read_group(out, err))
		return true;
	docs_group_release(out);
	return err_what(err, "cannot read a boundary group's document");
}

void docs_group_write(struct buf *out, const struct docs_group *doc)
{
	json_t *object = json_object(), *boundaries = json_array(), *neighbours = json_array();

	for (size_t i = 0; i < doc->boundary_count; i++) {
		char text[NETADDR_TEXT_MAX];

		netaddr_print_net(text, &doc->boundaries[i]);
		json_array_append_new(boundaries, jsondoc_new_text(text));
	}
	for (size_t i = 0; i < doc->neighbour_count; i++) {
		json_t *n = json_object();

		jsondoc_set_text(n, "group", doc->neighbours[i].group);
		jsondoc_set_int(n, "minutes", doc->neighbours[i].minutes);
		json_array_append_new(neighbours, n);
	}
	jsondoc_set_int(object, "format", 1);
	jsondoc_set_text(object, "name", doc->name);
	jsondoc_set(object, "boundaries", boundaries);
	jsondoc_set(object, "neighbours", neighbours);
	docs_read_put_int(object, "default_after_minutes", doc->default_after_min);
	jsondoc_set_flag(object, "fence", doc->fence);
	jsondoc_set_text(object, "policy", doc->policy);
	docs_read_put_texts(object, "prefer", doc->prefer, doc->prefer_count);
	jsondoc_set_text(object, "open_ways", doc->cross_tier ? "cross-tier" : "in-tier");
	if (doc->max_rate > 0)
		jsondoc_set_int(object, "max_rate", (int64_t)doc->max_rate);
	if (doc->window != NULL)
		jsondoc_set_text(object, "window", doc->window);
	docs_read_finish(out, object);
}

void docs_group_release(struct docs_group *doc)
{
	json_decref(doc->json);
	free(doc->boundaries);
	free(doc->neighbours);
	free(doc->prefer);
	*doc = (struct docs_group){ 0 };
}
