#include "policy/docs_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/text.h"

bool docs_read_frame(json_t **json_out, struct span bytes, struct err *err)
{
	json_auto_t *doc = NULL;
	int64_t format;

	if (bytes.size > DOCS_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "policy document of %zu bytes, at most %zu are read",
			       bytes.size, DOCS_SIZE_MAX);
	if (!jsondoc_read(&doc, bytes, err) || !jsondoc_need_int(&format, doc, "format", 1, 1, err))
		return false;
	*json_out = json_incref(doc);
	return true;
}

bool docs_read_text(const char **out, const json_t *object, const char *key, struct err *err)
{
	const json_t *value = json_object_get(object, key);

	*out = NULL;
	if (value == NULL || json_is_null(value))
		return true;
	*out = json_string_value(value);
	return *out != NULL || err_set(err, ERR_FORMAT, "\"%s\" is no text", key);
}

bool docs_read_checked(const char **out, const json_t *object, const char *key,
		       bool (*is_fine)(const char *), struct err *err)
{
	if (!jsondoc_need_text(out, object, key, err))
		return false;
	return is_fine(*out) || err_set(err, ERR_FORMAT, "\"%s\" is malformed: \"%s\"", key, *out);
}

bool docs_read_texts(const char **texts, size_t *count_out, const json_t *object, const char *key,
		     size_t max, struct err *err)
{
	const json_t *item;
	json_t *array;
	size_t i;

	if (!jsondoc_need_array(&array, object, key, max, err))
		return false;
	json_array_foreach (array, i, item) {
		texts[i] = json_string_value(item);
		if (texts[i] == NULL)
			return err_set(err, ERR_FORMAT, "\"%s\" holds something that is no text",
				       key);
	}
	*count_out = json_array_size(array);
	return true;
}

bool docs_read_new_texts(const char ***texts_out, size_t *count_out, const json_t *object,
			 const char *key, size_t max, struct err *err)
{
	json_t *array;

	if (!jsondoc_need_array(&array, object, key, max, err))
		return false;
	free(*texts_out);
	*texts_out = alloc_zeroed(json_array_size(array), sizeof(**texts_out));
	return docs_read_texts(*texts_out, count_out, object, key, max, err);
}

bool docs_read_time(int64_t *out, const json_t *object, const char *key, struct err *err)
{
	const char *text;

	*out = DOCS_NEVER;
	if (!docs_read_text(&text, object, key, err))
		return false;
	return text == NULL || clock_parse(out, text) ||
	       err_set(err, ERR_FORMAT, "\"%s\" is no time: \"%s\"", key, text);
}

bool docs_read_optional_int(int64_t *out, const json_t *object, const char *key, int64_t min,
			    int64_t max, struct err *err)
{
	const json_t *value = json_object_get(object, key);

	*out = DOCS_NEVER;
	if (value == NULL || json_is_null(value))
		return true;
	return jsondoc_need_int(out, object, key, min, max, err);
}

void docs_read_put_time(json_t *object, const char *key, int64_t unix_s)
{
	if (unix_s == DOCS_NEVER)
		jsondoc_set(object, key, json_null());
	else
		jsondoc_set_time(object, key, unix_s);
}

void docs_read_put_int(json_t *object, const char *key, int64_t value)
{
	jsondoc_set(object, key, value == DOCS_NEVER ? json_null() : json_integer(value));
}

void docs_read_put_texts(json_t *object, const char *key, const char *const *texts, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, jsondoc_new_text(texts[i]));
	jsondoc_set(object, key, array);
}

bool docs_read_bin(unsigned int *out, const json_t *doc, struct err *err)
{
	const char *text;
	uint8_t bin;

	if (!jsondoc_need_text(&text, doc, "bin", err))
		return false;
	if (strlen(text) != 2 || !text_unhex(&bin, 1, text) || bin >= DOCS_BINS)
		return err_set(err, ERR_FORMAT, "\"bin\" is malformed: \"%s\"", text);
	*out = bin;
	return true;
}

void docs_read_put_bin(json_t *object, unsigned int bin)
{
	char text[16];

	snprintf(text, sizeof(text), "%02x", bin % DOCS_BINS);
	jsondoc_set_text(object, "bin", text);
}

void docs_read_finish(struct buf *out, json_t *json)
{
	struct err err;
	bool done = jsondoc_canonical(out, json, &err);

	assert(done); /* our documents hold no floats */
	(void)done;
	json_decref(json);
}

bool docs_read_is_window(const char *text)
{
	struct clock_window ignored;

	return clock_window_parse(&ignored, text);
}

bool docs_read_is_digest(const char *text)
{
	struct digest ignored;

	return strlen(text) == 2 * DIGEST_SIZE && digest_parse(&ignored, text);
}

bool docs_read_is_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == '-' ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
			return false;
	return true;
}
