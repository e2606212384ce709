#include "common/jsondoc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/text.h"

/* jansson's own depth limit is fixed at 2,048: ours is checked before it parses. */
static bool depth_is_fine(struct span bytes)
{
	unsigned int depth = 0;
	bool in_text = false;

	for (size_t i = 0; i < bytes.size; i++) {
		uint8_t c = bytes.data[i];

		if (in_text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_text = false;
		} else if (c == '"') {
			in_text = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSONDOC_DEPTH_MAX)
				return false;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

static bool integers_are_exact(const json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_integer(value)) {
		json_int_t n = json_integer_value(value);

		return n <= JSONDOC_INT_MAX && n >= -JSONDOC_INT_MAX;
	}
	if (json_is_array(value)) {
		json_array_foreach (value, i, member)
			if (!integers_are_exact(member))
				return false;
	}
	if (json_is_object(value)) {
		/* The iterator takes a non-const object but changes nothing. */
		json_object_foreach ((json_t *)(uintptr_t)value, key, member)
			if (!integers_are_exact(member))
				return false;
	}
	return true;
}

bool jsondoc_read(json_t **out, struct span bytes, struct err *err)
{
	json_auto_t *doc = NULL;
	json_error_t at;

	if (bytes.size == 0)
		return err_set(err, ERR_FORMAT, "json: the document is empty");
	if (!depth_is_fine(bytes))
		return err_set(err, ERR_FORMAT, "json: nested deeper than %d", JSONDOC_DEPTH_MAX);
	doc = json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &at);
	if (doc == NULL)
		return err_set(err, ERR_FORMAT, "json: line %d column %d: %s", at.line, at.column,
			       at.text);
	if (!integers_are_exact(doc))
		return err_set(err, ERR_FORMAT, "json: an integer is past 2^53");
	*out = json_incref(doc);
	return true;
}

static void canonical_text(struct buf *out, const char *text, size_t size)
{
	size_t copied = 0;

	buf_put_u8(out, '"');
	for (size_t i = 0; i < size; i++) {
		if (text[i] != '"' && text[i] != '\\')
			continue;
		buf_put(out, text + copied, i - copied);
		buf_put_u8(out, '\\');
		copied = i;
	}
	buf_put(out, text + copied, size - copied);
	buf_put_u8(out, '"');
}

struct pair {
	const char *key;
	json_t *value;
};

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* The members sorted by key; the caller frees them. What was written canonically is sorted already.
 */
static struct pair *sorted_pairs(json_t *object)
{
	struct pair *pairs = alloc_zeroed(json_object_size(object), sizeof(*pairs));
	bool sorted = true;
	const char *key;
	json_t *member;
	size_t n = 0;

	json_object_foreach (object, key, member) {
		pairs[n] = (struct pair){ .key = key, .value = member };
		sorted = sorted && (n == 0 || strcmp(pairs[n - 1].key, key) < 0);
		n++;
	}
	if (!sorted)
		qsort(pairs, n, sizeof(*pairs), compare_pairs);
	return pairs;
}

static bool canonical_object(struct buf *out, json_t *object, struct err *err)
{
	struct pair *pairs = sorted_pairs(object);
	bool done = true;

	buf_put_u8(out, '{');
	for (size_t i = 0; i < json_object_size(object) && done; i++) {
		if (i > 0)
			buf_put_u8(out, ',');
		canonical_text(out, pairs[i].key, strlen(pairs[i].key));
		buf_put_u8(out, ':');
		done = jsondoc_canonical(out, pairs[i].value, err);
	}
	buf_put_u8(out, '}');
	free(pairs);
	return done;
}

static bool canonical_array(struct buf *out, const json_t *array, struct err *err)
{
	json_t *member;
	size_t i;

	buf_put_u8(out, '[');
	json_array_foreach (array, i, member) {
		if (i > 0)
			buf_put_u8(out, ',');
		if (!jsondoc_canonical(out, member, err))
			return false;
	}
	buf_put_u8(out, ']');
	return true;
}

bool jsondoc_canonical(struct buf *out, const json_t *doc, struct err *err)
{
	switch (json_typeof(doc)) {
	case JSON_OBJECT:
		return canonical_object(out, (json_t *)(uintptr_t)doc, err);
	case JSON_ARRAY:
		return canonical_array(out, doc, err);
	case JSON_STRING:
		canonical_text(out, json_string_value(doc), json_string_length(doc));
		return true;
	case JSON_INTEGER:
		buf_printf(out, "%" PRId64, (int64_t)json_integer_value(doc));
		return true;
	case JSON_REAL:
		return err_set(err, ERR_FORMAT, "canonical json: %g is no integer",
			       json_real_value(doc));
	case JSON_TRUE:
		buf_put_text(out, "true");
		return true;
	case JSON_FALSE:
		buf_put_text(out, "false");
		return true;
	case JSON_NULL:
	default:
		buf_put_text(out, "null");
		return true;
	}
}

static int append(const char *bytes, size_t size, void *ctx)
{
	buf_put(ctx, bytes, size);
	return 0;
}

void jsondoc_write(struct buf *out, const json_t *doc)
{
	json_dump_callback(doc, append, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

const char *jsondoc_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t jsondoc_int(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool jsondoc_flag(const json_t *object, const char *key, bool fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

bool jsondoc_need_text(const char **out, const json_t *object, const char *key, struct err *err)
{
	*out = jsondoc_text(object, key);
	return *out != NULL || err_set(err, ERR_FORMAT, "\"%s\" is missing or no text", key);
}

bool jsondoc_need_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max,
		      struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		return err_set(err, ERR_FORMAT, "\"%s\" is missing or no integer", key);
	*out = json_integer_value(value);
	if (*out < min || *out > max)
		return err_set(err, ERR_FORMAT,
			       "\"%s\" is %" PRId64 ", outside %" PRId64 " to %" PRId64, key, *out,
			       min, max);
	return true;
}

bool jsondoc_need_array(json_t **out, const json_t *object, const char *key, size_t max_items,
			struct err *err)
{
	*out = json_object_get(object, key);
	if (!json_is_array(*out))
		return err_set(err, ERR_FORMAT, "\"%s\" is missing or no array", key);
	if (json_array_size(*out) > max_items)
		return err_set(err, ERR_LIMIT, "\"%s\" has %zu items, at most %zu are read", key,
			       json_array_size(*out), max_items);
	return true;
}

bool jsondoc_need_object(json_t **out, const json_t *object, const char *key, struct err *err)
{
	*out = json_object_get(object, key);
	return json_is_object(*out) ||
	       err_set(err, ERR_FORMAT, "\"%s\" is missing or no object", key);
}

void jsondoc_set(json_t *object, const char *key, json_t *value)
{
	/* Fails only on keys that are no UTF-8 (ours are) or without memory. */
	if (json_object_set_new(object, key, value) != 0)
		abort();
}

void jsondoc_set_text(json_t *object, const char *key, const char *text)
{
	jsondoc_set(object, key, text != NULL ? jsondoc_new_text(text) : json_null());
}

void jsondoc_set_int(json_t *object, const char *key, int64_t value)
{
	jsondoc_set(object, key, json_integer(value));
}

void jsondoc_set_flag(json_t *object, const char *key, bool value)
{
	jsondoc_set(object, key, json_boolean(value));
}

void jsondoc_set_time(json_t *object, const char *key, int64_t unix_s)
{
	char text[CLOCK_TEXT_MAX];

	clock_print(text, unix_s);
	jsondoc_set_text(object, key, text);
}

/* Valid characters stay as they are, control characters included: JSON escapes those itself. */
json_t *jsondoc_new_text(const char *text)
{
	struct span bytes = span_of_text(text);
	SCOPED_TEXT char *safe = NULL;
	json_t *value = json_string(text);

	if (value != NULL)
		return value;
	safe = alloc_zeroed(bytes.size * 4 + 1, 1);
	text_escape_span(safe, bytes.size * 4 + 1, bytes);
	value = json_string(safe);
	if (value == NULL)
		abort(); /* escaped text is ASCII or UTF-8 */
	return value;
}

json_t *jsondoc_new_error(const struct err *err)
{
	json_t *object = json_object();

	jsondoc_set_text(object, "code", err_name(err->code));
	jsondoc_set_text(object, "what", err->what[0] != '\0' ? err->what : ERR_WHAT_UNSAID);
	jsondoc_set_text(object, "why", err->why);
	jsondoc_set_text(object, "fix", err_fix_text(err));
	return object;
}

bool jsondoc_take_error(struct err *err, const json_t *object)
{
	const char *code = jsondoc_text(object, "code");
	const char *what = jsondoc_text(object, "what");
	const char *why = jsondoc_text(object, "why");
	const char *fix = jsondoc_text(object, "fix");

	err_set(err, err_by_name(code != NULL ? code : ""), "%s",
		why != NULL ? why : "no reason was given");
	if (what != NULL && strcmp(what, ERR_WHAT_UNSAID) != 0)
		err_what(err, "%s", what);
	if (fix != NULL)
		err_fix(err, "%s", fix);
	return false;
}
