#include "nal/marker.h"

#include <string.h>

#include "common/jsondoc.h"
#include "common/text.h"

static const char *const kind_names[] = {
	[MARKER_DP] = "dp",
	[MARKER_CAP] = "cap",
};
static_assert(COUNT_OF(kind_names) == MARKER_KIND_COUNT_, "every kind has a name");

static const char *const files[] = {
	[MARKER_DP] = "packway-dp.json",
	[MARKER_CAP] = "packway-cap.json",
};
static_assert(COUNT_OF(files) == MARKER_KIND_COUNT_, "every kind has a file");

const char *marker_kind_name(enum marker_kind kind)
{
	assert(kind < MARKER_KIND_COUNT_);
	return kind_names[kind];
}

const char *marker_file(enum marker_kind kind)
{
	assert(kind < MARKER_KIND_COUNT_);
	return files[kind];
}

static bool is_site_code(const char *text)
{
	return strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 3;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(const char *text)
{
	if (strlen(text) != MARKER_UUID_SIZE - 1)
		return false;
	for (size_t i = 0; i < MARKER_UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return true;
}

static bool parse_kind(struct marker *out, const json_t *doc, struct err *err)
{
	const char *kind;

	if (!jsondoc_need_text(&kind, doc, "kind", err))
		return false;
	for (size_t i = 0; i < COUNT_OF(kind_names); i++) {
		if (strcmp(kind_names[i], kind) == 0) {
			out->kind = (enum marker_kind)i;
			return true;
		}
	}
	return err_set(err, ERR_FORMAT, "marker: kind \"%s\" is neither dp nor cap", kind);
}

static void lower_case(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static bool parse_texts(struct marker *out, const json_t *doc, struct err *err)
{
	const char *site, *uuid, *name;

	if (!jsondoc_need_text(&site, doc, "site", err) ||
	    !jsondoc_need_text(&uuid, doc, "uuid", err) ||
	    !jsondoc_need_text(&name, doc, "name", err))
		return false;
	if (!is_site_code(site))
		return err_set(err, ERR_FORMAT, "marker: \"%s\" is no site code", site);
	if (!is_uuid(uuid))
		return err_set(err, ERR_FORMAT, "marker: \"%s\" is no UUID", uuid);
	if (!text_is_name(name))
		return err_set(err, ERR_FORMAT, "marker: \"%s\" is no name of a system", name);
	memcpy(out->site, site, sizeof(out->site));
	memcpy(out->uuid, uuid, sizeof(out->uuid));
	memcpy(out->name, name, strlen(name) + 1);
	lower_case(out->uuid);
	return true;
}

bool marker_parse(struct marker *out, struct span bytes, struct err *err)
{
	json_auto_t *doc = NULL;
	int64_t format;

	*out = (struct marker){ .kind = MARKER_DP };
	if (bytes.size > MARKER_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "marker has %zu bytes, at most %d are read",
			       bytes.size, MARKER_BYTES_MAX);
	return jsondoc_read(&doc, bytes, err) &&
	       jsondoc_need_int(&format, doc, "format", 1, MARKER_FORMAT, err) &&
	       parse_kind(out, doc, err) && parse_texts(out, doc, err);
}

void marker_write(struct buf *out, const struct marker *marker)
{
	json_auto_t *doc = json_object();

	assert(is_site_code(marker->site) && is_uuid(marker->uuid) && text_is_name(marker->name));
	jsondoc_set_int(doc, "format", MARKER_FORMAT);
	jsondoc_set_text(doc, "kind", marker_kind_name(marker->kind));
	jsondoc_set_text(doc, "site", marker->site);
	jsondoc_set_text(doc, "uuid", marker->uuid);
	jsondoc_set_text(doc, "name", marker->name);
	jsondoc_write(out, doc);
}

bool marker_is(const struct marker *marker, const char *uuid)
{
	return text_equal_nocase(marker->uuid, uuid);
}
