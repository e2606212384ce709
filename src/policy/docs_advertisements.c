#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "policy/docs_read.h"

static bool is_unix_name(const char *text)
{
	return text[0] != '\0' && strlen(text) <= 64 && strpbrk(text, ":/ \n") == NULL;
}

static bool read_state(struct docs_advertisement *out, const json_t *object, struct err *err)
{
	const char *state;

	if (!jsondoc_need_text(&state, object, "state", err))
		return false;
	out->stopped = strcmp(state, "stopped") == 0;
	return out->stopped || strcmp(state, "active") == 0 ||
	       err_set(err, ERR_FORMAT, "\"state\" is neither active nor stopped: \"%s\"", state);
}

static bool read_window(struct docs_advertisement *out, const json_t *object, struct err *err)
{
	if (!docs_read_text(&out->window, object, "window", err))
		return false;
	return out->window == NULL || docs_read_is_window(out->window) ||
	       err_set(err, ERR_FORMAT, "\"window\" is malformed: \"%s\"", out->window);
}

static bool read_offer(struct docs_advertisement *out, const json_t *object, struct err *err)
{
	if (!docs_read_text(&out->offer_to, object, "offer_to", err))
		return false;
	return out->offer_to == NULL || is_unix_name(out->offer_to) ||
	       err_set(err, ERR_FORMAT, "\"offer_to\" is no group's name: \"%s\"", out->offer_to);
}

static bool read_item(struct docs_advertisement *out, const json_t *object, struct err *err)
{
	return docs_read_checked(&out->id, object, "id", text_is_object_id, err) &&
	       docs_read_checked(&out->package, object, "package", text_is_object_id, err) &&
	       docs_read_checked(&out->program, object, "program", text_is_name, err) &&
	       docs_read_checked(&out->collection, object, "collection", text_is_name, err) &&
	       jsondoc_need_int(&out->version, object, "version", 1, UINT32_MAX, err) &&
	       jsondoc_need_int(&out->serial, object, "serial", 1, UINT32_MAX, err) &&
	       read_state(out, object, err) &&
	       docs_read_time(&out->available_s, object, "available", err) &&
	       docs_read_time(&out->mandatory_s, object, "mandatory", err) &&
	       docs_read_time(&out->expires_s, object, "expires", err) &&
	       read_window(out, object, err) && read_offer(out, object, err);
}

/* What stands in a bin must belong there: a document served in another's place is refused. */
static bool read_items(struct docs_advertisements *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "advertisements", DOCS_ADVERTISEMENTS_MAX, err))
		return false;
	out->items = alloc_zeroed(json_array_size(array), sizeof(*out->items));
	json_array_foreach (array, i, item) {
		if (!read_item(&out->items[out->count++], item, err))
			return false;
		if (docs_bin(out->items[i].id) != out->bin)
			return err_set(err, ERR_FORMAT, "advertisement %s is not of bin %02x",
				       out->items[i].id, out->bin);
	}
	return true;
}

bool docs_advertisements_parse(struct docs_advertisements *out, struct span bytes, struct err *err)
{
	*out = (struct docs_advertisements){ 0 };
	if (docs_read_frame(&out->json, bytes, err) && docs_read_bin(&out->bin, out->json, err) &&
	    read_items(out, err))
		return true;
	docs_advertisements_release(out);
	return err_what(err, "cannot read a document of advertisements");
}

static json_t *new_item(const struct docs_advertisement *a)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "id", a->id);
	jsondoc_set_text(object, "package", a->package);
	jsondoc_set_text(object, "program", a->program);
	jsondoc_set_text(object, "collection", a->collection);
	jsondoc_set_int(object, "version", a->version);
	jsondoc_set_int(object, "serial", a->serial);
	jsondoc_set_text(object, "state", a->stopped ? "stopped" : "active");
	docs_read_put_time(object, "available", a->available_s);
	docs_read_put_time(object, "mandatory", a->mandatory_s);
	docs_read_put_time(object, "expires", a->expires_s);
	jsondoc_set_text(object, "window", a->window);
	jsondoc_set_text(object, "offer_to", a->offer_to);
	return object;
}

void docs_advertisements_write(struct buf *out, const struct docs_advertisements *doc)
{
	json_t *object = json_object(), *items = json_array();

	for (size_t i = 0; i < doc->count; i++)
		json_array_append_new(items, new_item(&doc->items[i]));
	jsondoc_set_int(object, "format", 1);
	docs_read_put_bin(object, doc->bin);
	jsondoc_set(object, "advertisements", items);
	docs_read_finish(out, object);
}

void docs_advertisements_release(struct docs_advertisements *doc)
{
	json_decref(doc->json);
	free(doc->items);
	*doc = (struct docs_advertisements){ 0 };
}
