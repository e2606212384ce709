#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "policy/docs_read.h"

static bool is_site_code(const char *text)
{
	return strlen(text) == 3 && text_is_name(text);
}

static bool read_key(uint8_t key[32], const json_t *object, const char *name, struct err *err)
{
	const char *hex;

	if (!jsondoc_need_text(&hex, object, name, err))
		return false;
	return (strlen(hex) == 64 && text_unhex(key, 32, hex)) ||
	       err_set(err, ERR_FORMAT, "\"%s\" is no key of 64 hex digits", name);
}

static bool read_kind(enum docs_system_kind *out, const json_t *object, struct err *err)
{
	const char *kind;

	if (!jsondoc_need_text(&kind, object, "kind", err))
		return false;
	*out = strcmp(kind, "cap") == 0 ? DOCS_CAP : DOCS_DP;
	return *out == DOCS_CAP || strcmp(kind, "dp") == 0 ||
	       err_set(err, ERR_FORMAT, "\"kind\" is neither cap nor dp: \"%s\"", kind);
}

static bool read_system(struct docs_system *out, const json_t *object, struct err *err)
{
	if (!docs_read_checked(&out->name, object, "name", text_is_name, err) ||
	    !read_kind(&out->kind, object, err) ||
	    !docs_read_checked(&out->uuid, object, "uuid", docs_read_is_uuid, err) ||
	    !docs_read_texts(out->addresses, &out->address_count, object, "addresses",
			     DOCS_ADDRESSES_MAX, err) ||
	    !docs_read_text(&out->group, object, "group", err) ||
	    !docs_read_text(&out->inbox, object, "inbox", err))
		return false;
	if (out->address_count == 0)
		return err_set(err, ERR_FORMAT, "system %s has no address", out->name);
	return true;
}

static bool read_systems(struct docs_site *out, const json_t *doc, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, doc, "systems", DOCS_SYSTEMS_MAX, err))
		return false;
	out->systems = alloc_zeroed(json_array_size(array), sizeof(*out->systems));
	json_array_foreach (array, i, item)
		if (!read_system(&out->systems[out->system_count++], item, err))
			return false;
	return true;
}

static bool read_site(struct docs_site *out, struct err *err)
{
	const json_t *doc = out->json;
	json_t *settings;

	return docs_read_checked(&out->site, doc, "site", is_site_code, err) &&
	       jsondoc_need_text(&out->name, doc, "name", err) &&
	       read_key(out->sealing_key, doc, "sealing_key", err) &&
	       read_key(out->receipt_key, doc, "receipt_key", err) &&
	       jsondoc_need_object(&settings, doc, "settings", err) &&
	       jsondoc_need_int(&out->poll_s, settings, "poll_s", 1, 86400 * 30, err) &&
	       jsondoc_need_int(&out->linger_s, settings, "linger_s", 0, 86400, err) &&
	       docs_read_new_texts(&out->groups, &out->group_count, doc, "groups", DOCS_GROUPS_MAX,
				   err) &&
	       read_systems(out, doc, err);
}

bool docs_site_parse(struct docs_site *out, struct span bytes, struct err *err)
{
	*out = (struct docs_site){ 0 };
	if (docs_read_frame(&out->json, bytes, err) && read_site(out, err))
		return true;
	docs_site_release(out);
	return err_what(err, "cannot read site.json");
}

static json_t *new_system(const struct docs_system *s)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "name", s->name);
	jsondoc_set_text(object, "kind", s->kind == DOCS_CAP ? "cap" : "dp");
	jsondoc_set_text(object, "uuid", s->uuid);
	docs_read_put_texts(object, "addresses", s->addresses, s->address_count);
	jsondoc_set_text(object, "group", s->group);
	jsondoc_set_text(object, "inbox", s->inbox);
	return object;
}

void docs_site_write(struct buf *out, const struct docs_site *doc)
{
	json_t *object = json_object(), *settings = json_object(), *systems = json_array();
	char hex[65];

	jsondoc_set_int(object, "format", 1);
	jsondoc_set_text(object, "site", doc->site);
	jsondoc_set_text(object, "name", doc->name);
	text_hex(hex, doc->sealing_key, sizeof(doc->sealing_key));
	jsondoc_set_text(object, "sealing_key", hex);
	text_hex(hex, doc->receipt_key, sizeof(doc->receipt_key));
	jsondoc_set_text(object, "receipt_key", hex);
	jsondoc_set_int(settings, "poll_s", doc->poll_s);
	jsondoc_set_int(settings, "linger_s", doc->linger_s);
	jsondoc_set(object, "settings", settings);
	docs_read_put_texts(object, "groups", doc->groups, doc->group_count);
	for (size_t i = 0; i < doc->system_count; i++)
		json_array_append_new(systems, new_system(&doc->systems[i]));
	jsondoc_set(object, "systems", systems);
	docs_read_finish(out, object);
}

void docs_site_release(struct docs_site *doc)
{
	json_decref(doc->json);
	free(doc->groups);
	free(doc->systems);
	*doc = (struct docs_site){ 0 };
}
