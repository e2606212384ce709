#include "nal/nalpath.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"

static const char *const providers[] = {
	[NALPATH_MSWNET] = "MSWNET", [NALPATH_NWBIND] = "NWBIND",   [NALPATH_NWNDS] = "NWNDS",
	[NALPATH_LOCAL] = "LOCAL",   [NALPATH_GENERIC] = "GENERIC",
};
static_assert(COUNT_OF(providers) == NALPATH_PROVIDER_COUNT_, "every provider has a name");

const char *nalpath_provider_name(enum nalpath_provider provider)
{
	assert(provider < NALPATH_PROVIDER_COUNT_);
	return providers[provider];
}

static char *copy(struct span s)
{
	return alloc_copy(s.data, s.size);
}

static bool take_byte(struct span *rest, char byte)
{
	if (rest->size == 0 || rest->data[0] != (uint8_t)byte)
		return false;
	*rest = span_skip(*rest, 1);
	return true;
}

static void qualifiers_release(struct nalpath_qualifiers *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].key);
		free(list->items[i].value);
	}
}

void nalpath_release(struct nalpath *path)
{
	qualifiers_release(&path->provider_qualifiers);
	qualifiers_release(&path->machine_qualifiers);
	free(path->provider_text);
	free(path->path);
	*path = (struct nalpath){ 0 };
}

static bool take_qualifier(struct nalpath_qualifiers *list, struct span *rest, struct err *err)
{
	struct nalpath_qualifier *item = &list->items[list->count];
	struct span text, key;

	if (list->count == NALPATH_QUALIFIERS_MAX)
		return err_set(err, ERR_LIMIT, "NAL path: more than %d qualifiers",
			       NALPATH_QUALIFIERS_MAX);
	if (!take_byte(rest, '"') || !span_take_until(rest, &text, '"', NALPATH_TEXT_MAX))
		return err_set(err, ERR_FORMAT, "NAL path: a qualifier is not in quotes");
	if (span_take_until(&text, &key, '=', NALPATH_TEXT_MAX)) {
		item->key = copy(key);
		item->value = copy(text);
	} else {
		item->key = copy(text);
	}
	list->count++;
	return item->key[0] != '\0' || err_set(err, ERR_FORMAT, "NAL path: a qualifier has no key");
}

/* [ … ] or nothing at all. */
static bool take_qualifiers(struct nalpath_qualifiers *list, struct span *rest, struct err *err)
{
	if (!take_byte(rest, '['))
		return true;
	list->is_written = true;
	if (take_byte(rest, ']'))
		return true;
	do {
		if (!take_qualifier(list, rest, err))
			return false;
	} while (take_byte(rest, ','));
	return take_byte(rest, ']') || err_set(err, ERR_FORMAT, "NAL path: '[' without its ']'");
}

static bool take_provider(struct nalpath *out, struct span *rest, struct err *err)
{
	struct span name;

	/* A bare UNC path names no provider. */
	if (rest->size > 0 && rest->data[0] == '\\' && !out->provider_qualifiers.is_written) {
		out->provider = NALPATH_GENERIC;
		out->provider_text = alloc_text("");
		return true;
	}
	if (!span_take_until(rest, &name, ':', 16))
		return err_set(err, ERR_FORMAT, "NAL path: the provider is missing");
	out->provider_text = copy(name);
	for (size_t i = 0; i < COUNT_OF(providers); i++) {
		if (text_equal_nocase(providers[i], out->provider_text)) {
			out->provider = (enum nalpath_provider)i;
			return true;
		}
	}
	return err_set(err, ERR_UNSUPPORTED, "NAL path: '%s' is no provider that SMS had",
		       out->provider_text) ||
	       err_fix(err, "use MSWNET, LOCAL or GENERIC");
}

static bool text_is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((uint8_t)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static bool parse_parts(struct nalpath *out, const char *text, struct err *err)
{
	struct span rest = span_of_text(text);

	if (rest.size > NALPATH_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "NAL path: %zu bytes, at most %d are read",
			       rest.size, NALPATH_TEXT_MAX);
	if (!text_is_clean(text))
		return err_set(err, ERR_FORMAT, "NAL path: a control character");
	if (!take_qualifiers(&out->provider_qualifiers, &rest, err) ||
	    !take_provider(out, &rest, err) ||
	    !take_qualifiers(&out->machine_qualifiers, &rest, err))
		return false;
	if (rest.size == 0)
		return err_set(err, ERR_FORMAT, "NAL path: the path is missing");
	out->path = copy(rest);
	out->is_container = rest.data[rest.size - 1] == '\\';
	return true;
}

bool nalpath_parse(struct nalpath *out, const char *text, struct err *err)
{
	bool parsed;

	*out = (struct nalpath){ 0 };
	parsed = parse_parts(out, text, err);
	if (!parsed)
		nalpath_release(out);
	return parsed;
}

static void print_qualifiers(struct buf *out, const struct nalpath_qualifiers *list)
{
	if (!list->is_written)
		return;
	buf_put_u8(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		const struct nalpath_qualifier *q = &list->items[i];

		buf_printf(out, "%s\"%s%s%s\"", i > 0 ? "," : "", q->key,
			   q->value != NULL ? "=" : "", q->value != NULL ? q->value : "");
	}
	buf_put_u8(out, ']');
}

void nalpath_print(struct buf *out, const struct nalpath *path)
{
	print_qualifiers(out, &path->provider_qualifiers);
	if (path->provider_text[0] != '\0')
		buf_printf(out, "%s:", path->provider_text);
	print_qualifiers(out, &path->machine_qualifiers);
	buf_put_text(out, path->path);
}

/* \\S\share\a\b\ as smb://S/share/a/b. */
static bool unc_locator(struct locator *out, const char *path, struct err *err)
{
	SCOPED(buf) struct buf url = { 0 };
	SCOPED_TEXT char *slashed = alloc_text(path);

	if (strncmp(path, "\\\\", 2) != 0 || strchr(path, '/') != NULL)
		return err_set(err, ERR_FORMAT, "NAL path: '%.200s' is no \\\\server\\share path",
			       path);
	for (char *p = slashed; *p != '\0'; p++)
		if (*p == '\\')
			*p = '/';
	buf_put_text(&url, "smb://");
	locator_encode(&url, slashed + 2);
	return locator_parse(out, buf_text(&url), err);
}

static bool local_locator(struct locator *out, const char *path, struct err *err)
{
	SCOPED_TEXT char *slashed = alloc_text(path);

	for (char *p = slashed; *p != '\0'; p++)
		if (*p == '\\')
			*p = '/';
	if (slashed[0] != '/' || slashed[1] == '/')
		return err_set(err, ERR_UNSUPPORTED, "NAL path: '%.200s' is no folder of Linux",
			       path) ||
		       err_fix(err, "write LOCAL:\\srv\\packway\\ for /srv/packway");
	return locator_parse_argument(out, slashed, err);
}

bool nalpath_locator(struct locator *out, const struct nalpath *path, struct err *err)
{
	switch (path->provider) {
	case NALPATH_MSWNET:
	case NALPATH_GENERIC:
		return unc_locator(out, path->path, err);
	case NALPATH_LOCAL:
		return local_locator(out, path->path, err);
	case NALPATH_NWBIND:
	case NALPATH_NWNDS:
	case NALPATH_PROVIDER_COUNT_:
	default:
		return err_set(err, ERR_UNSUPPORTED, "NAL path: NetWare (%s) is not spoken",
			       nalpath_provider_name(path->provider)) ||
		       err_fix(err, "give the server's SMB share instead");
	}
}

const struct nalpath_qualifier *nalpath_find(const struct nalpath_qualifiers *list, const char *key)
{
	for (size_t i = 0; i < list->count; i++)
		if (text_equal_nocase(list->items[i].key, key))
			return &list->items[i];
	return NULL;
}
