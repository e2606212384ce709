#include <stdlib.h>

#include "common/alloc.h"
#include "common/text.h"
#include "policy/docs_read.h"

/* An index's name becomes part of a path on a DP: digits, a dash, 64 hex digits and nothing else.
 */
static bool is_index_name(const char *text)
{
	size_t digits = 0;

	while (text[digits] >= '0' && text[digits] <= '9')
		digits++;
	return digits > 0 && digits <= 10 && text[digits] == '-' &&
	       docs_read_is_digest(text + digits + 1);
}

static bool read_place(struct docs_place *out, const json_t *object, struct err *err)
{
	return jsondoc_need_int(&out->version, object, "version", 1, UINT32_MAX, err) &&
	       docs_read_checked(&out->index, object, "index", is_index_name, err) &&
	       jsondoc_need_int(&out->index_size, object, "index_size", 0, JSONDOC_INT_MAX, err) &&
	       docs_read_new_texts(&out->dps, &out->dp_count, object, "dps", DOCS_SYSTEMS_MAX, err);
}

static bool read_places(struct docs_location *out, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, out->json, "versions", DOCS_VERSIONS_MAX, err))
		return false;
	out->versions = alloc_zeroed(json_array_size(array), sizeof(*out->versions));
	json_array_foreach (array, i, item)
		if (!read_place(&out->versions[out->version_count++], item, err))
			return false;
	return true;
}

bool docs_location_parse(struct docs_location *out, struct span bytes, struct err *err)
{
	*out = (struct docs_location){ 0 };
	if (docs_read_frame(&out->json, bytes, err) &&
	    docs_read_checked(&out->package, out->json, "package", text_is_object_id, err) &&
	    read_places(out, err))
		return true;
	docs_location_release(out);
	return err_what(err, "cannot read a package's location document");
}

void docs_location_write(struct buf *out, const struct docs_location *doc)
{
	json_t *object = json_object(), *versions = json_array();

	for (size_t i = 0; i < doc->version_count; i++) {
		const struct docs_place *p = &doc->versions[i];
		json_t *place = json_object();

		jsondoc_set_int(place, "version", p->version);
		jsondoc_set_text(place, "index", p->index);
		jsondoc_set_int(place, "index_size", p->index_size);
		docs_read_put_texts(place, "dps", p->dps, p->dp_count);
		json_array_append_new(versions, place);
	}
	jsondoc_set_int(object, "format", 1);
	jsondoc_set_text(object, "package", doc->package);
	jsondoc_set(object, "versions", versions);
	docs_read_finish(out, object);
}

void docs_location_release(struct docs_location *doc)
{
	json_decref(doc->json);
	for (size_t i = 0; i < doc->version_count; i++)
		free(doc->versions[i].dps);
	free(doc->versions);
	*doc = (struct docs_location){ 0 };
}

const struct docs_place *docs_location_version(const struct docs_location *doc, int64_t version)
{
	for (size_t i = 0; i < doc->version_count; i++)
		if (doc->versions[i].version == version)
			return &doc->versions[i];
	return NULL;
}
