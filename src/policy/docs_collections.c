#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "policy/docs_read.h"

static bool is_salt(const char *text)
{
	uint8_t salt[16];

	return strlen(text) == 32 && text_unhex(salt, sizeof(salt), text);
}

static bool read_members(struct docs_collection *out, const json_t *object, struct err *err)
{
	if (!docs_read_new_texts(&out->members, &out->member_count, object, "members",
				 DOCS_MEMBERS_MAX, err) ||
	    !docs_read_checked(&out->salt, object, "salt", is_salt, err))
		return false;
	for (size_t i = 0; i < out->member_count; i++)
		if (!docs_read_is_digest(out->members[i]))
			return err_set(err, ERR_FORMAT, "collection %s: a member is no hash",
				       out->name);
	return true;
}

static bool read_item(struct docs_collection *out, const json_t *object, struct err *err)
{
	if (!docs_read_checked(&out->name, object, "name", text_is_name, err) ||
	    !docs_read_text(&out->query, object, "query", err) ||
	    !docs_read_optional_int(&out->percent, object, "percent", 1, 100, err))
		return false;
	return out->query != NULL || read_members(out, object, err);
}

static bool read_items(struct docs_collections *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "collections", DOCS_COLLECTIONS_MAX, err))
		return false;
	out->items = alloc_zeroed(json_array_size(array), sizeof(*out->items));
	json_array_foreach (array, i, item) {
		if (!read_item(&out->items[out->count++], item, err))
			return false;
		if (docs_bin(out->items[i].name) != out->bin)
			return err_set(err, ERR_FORMAT, "collection %s is not of bin %02x",
				       out->items[i].name, out->bin);
	}
	return true;
}

bool docs_collections_parse(struct docs_collections *out, struct span bytes, struct err *err)
{
	*out = (struct docs_collections){ 0 };
	if (docs_read_frame(&out->json, bytes, err) && docs_read_bin(&out->bin, out->json, err) &&
	    read_items(out, err))
		return true;
	docs_collections_release(out);
	return err_what(err, "cannot read a document of collections");
}

static json_t *new_item(const struct docs_collection *c)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "name", c->name);
	jsondoc_set_text(object, "query", c->query);
	if (c->query == NULL)
		docs_read_put_texts(object, "members", c->members, c->member_count);
	else
		jsondoc_set(object, "members", json_null());
	jsondoc_set_text(object, "salt", c->salt);
	docs_read_put_int(object, "percent", c->percent);
	return object;
}

void docs_collections_write(struct buf *out, const struct docs_collections *doc)
{
	json_t *object = json_object(), *items = json_array();

	for (size_t i = 0; i < doc->count; i++)
		json_array_append_new(items, new_item(&doc->items[i]));
	jsondoc_set_int(object, "format", 1);
	docs_read_put_bin(object, doc->bin);
	jsondoc_set(object, "collections", items);
	docs_read_finish(out, object);
}

void docs_collections_release(struct docs_collections *doc)
{
	json_decref(doc->json);
	for (size_t i = 0; i < doc->count; i++)
		free(doc->items[i].members);
	free(doc->items);
	*doc = (struct docs_collections){ 0 };
}
