#include "common/config.h"

#include <ctype.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/path.h"
#include "common/text.h"

struct setting {
	char *value;
	char *where;
	enum config_source source;
};

struct config {
	const struct config_key *keys;
	size_t count;
	struct setting *settings; /* one per key */
};

static const char *const source_names[] = {
	[CONFIG_DEFAULT] = "default",         [CONFIG_POLICY] = "policy", [CONFIG_FILE] = "file",
	[CONFIG_ENVIRONMENT] = "environment", [CONFIG_FLAG] = "flag",
};
static_assert(COUNT_OF(source_names) == CONFIG_SOURCE_COUNT_, "every source has a name");

static const struct {
	const char *name;
	const char *expected;
} types[] = {
	[CONFIG_TEXT] = { "text", "UTF-8 text" },
	[CONFIG_PATH] = { "path", "a file name" },
	[CONFIG_BOOL] = { "flag", "yes or no" },
	[CONFIG_NUMBER] = { "number", "a whole number" },
	[CONFIG_SIZE] = { "size", "a size such as 10M or 2MB/s" },
	[CONFIG_DURATION] = { "duration", "a duration such as 90s, 10m, 2h or 1d" },
};
static_assert(COUNT_OF(types) == CONFIG_TYPE_COUNT_, "every type has a row");

const char *config_source_name(enum config_source source)
{
	return source_names[source];
}

const char *config_type_name(enum config_type type)
{
	return types[type].name;
}

static bool read_bool(bool *out, const char *text)
{
	static const char *const words[][2] = {
		{ "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" }
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		for (int value = 0; value < 2; value++)
			if (text_equal_nocase(text, words[i][value])) {
				*out = value == 1;
				return true;
			}
	return false;
}

static bool value_fits(const struct config_key *key, const char *value)
{
	uint64_t number;
	bool flag;

	if (strlen(value) >= CONFIG_VALUE_MAX)
		return false;
	switch (key->type) {
	case CONFIG_TEXT:
		return text_is_utf8(span_of_text(value));
	case CONFIG_PATH:
		return value[0] != '\0';
	case CONFIG_BOOL:
		return read_bool(&flag, value);
	case CONFIG_NUMBER:
		return text_u64(&number, value, 0, key->max != 0 ? key->max : UINT64_MAX);
	case CONFIG_SIZE:
		return text_size(&number, value);
	case CONFIG_DURATION:
		return text_duration(&number, value);
	case CONFIG_TYPE_COUNT_:
		break;
	}
	return false;
}

struct config *config_new(const struct config_key *keys)
{
	struct config *c = alloc_zeroed(1, sizeof(*c));

	c->keys = keys;
	while (keys[c->count].name != NULL)
		c->count++;
	c->settings = alloc_zeroed(c->count, sizeof(*c->settings));
	for (size_t i = 0; i < c->count; i++) {
		assert(keys[i].fallback == NULL || value_fits(&keys[i], keys[i].fallback));
		c->settings[i].value = alloc_text(keys[i].fallback);
	}
	return c;
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++) {
		free(c->settings[i].value);
		free(c->settings[i].where);
	}
	free(c->settings);
	free(c);
}

static struct setting *find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->keys[i].name, name) == 0)
			return &c->settings[i];
	return NULL;
}

bool config_has(const struct config *c, const char *name)
{
	return find(c, name) != NULL;
}

static bool check(const struct config *c, const char *name, const char *value, const char *where,
		  struct err *err)
{
	const struct setting *s = find(c, name);
	const struct config_key *key;

	if (s == NULL)
		return err_set(err, ERR_CONFIG, "%s: there is no key \"%s\"", where, name);
	key = &c->keys[s - c->settings];
	if (value_fits(key, value))
		return true;
	if (key->max != 0)
		return err_set(err, ERR_CONFIG, "%s: %s = \"%s\" is not %s up to %" PRIu64, where,
			       name, value, types[key->type].expected, key->max);
	return err_set(err, ERR_CONFIG, "%s: %s = \"%s\" is not %s", where, name, value,
		       types[key->type].expected);
}

static void offer(struct config *c, const char *name, const char *value, enum config_source source,
		  const char *where)
{
	struct setting *s = find(c, name);

	if (source < s->source || (source == s->source && source != CONFIG_DEFAULT))
		return;
	free(s->value);
	free(s->where);
	*s = (struct setting){
		.value = alloc_text(value),
		.where = alloc_text(where),
		.source = source,
	};
}

bool config_set(struct config *c, const char *name, const char *value, enum config_source source,
		const char *where, struct err *err)
{
	if (!check(c, name, value, where != NULL ? where : source_names[source], err))
		return false;
	offer(c, name, value, source, where);
	return true;
}

static void environment_name(char *dst, size_t size, const char *key)
{
	snprintf(dst, size, "PACKWAY_%s", key);
	for (char *p = dst; *p != '\0'; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

bool config_read_environment(struct config *c, struct err *err)
{
	char name[128];
	bool done = true;

	for (size_t i = 0; i < c->count; i++) {
		struct err later = { 0 };
		const char *value;

		environment_name(name, sizeof(name), c->keys[i].name);
		value = getenv(name);
		if (value == NULL || value[0] == '\0')
			continue;
		if (!config_set(c, c->keys[i].name, value, CONFIG_ENVIRONMENT, name,
				done ? err : &later))
			done = false;
	}
	return done;
}

/*
 * A file under way. Debian's libinih tells no line numbers: the reader that hands it the lines
 * counts them. The first fault is kept, the rest of the file is only run through.
 */
struct reading {
	struct config *c;
	const char *path;
	struct span rest;
	unsigned int line;
	bool is_taking; /* false while the whole file is checked */
	bool is_wrong;
	struct err *err;
};

static void blame_line(struct reading *r, const char *why)
{
	if (!r->is_wrong)
		err_set(r->err, ERR_CONFIG, "%s:%u: %s", r->path, r->line, why);
	r->is_wrong = true;
}

/* One line in fgets' manner, without leading blanks: to libinih they would mean "goes on". */
static char *next_line(char *dst, int size, void *stream)
{
	struct reading *r = stream;
	struct span line;

	if (!span_take_line(&r->rest, &line))
		return NULL;
	r->line++;
	while (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
		line = span_skip(line, 1);
	if (line.size > 0 && line.data[0] == '[')
		blame_line(r, "sections are not used here");
	if (line.size + 2 > (size_t)size) {
		blame_line(r, "the line is too long");
		line.size = 0;
	}
	snprintf(dst, (size_t)size, "%.*s\n", (int)line.size, (const char *)line.data);
	return dst;
}

static int take_pair(void *ctx, const char *section UNUSED, const char *name, const char *value)
{
	struct reading *r = ctx;
	char where[CONFIG_VALUE_MAX];

	if (r->is_wrong)
		return 0;
	snprintf(where, sizeof(where), "%s:%u", r->path, r->line);
	if (r->is_taking)
		offer(r->c, name, value, CONFIG_FILE, where);
	else
		r->is_wrong = !check(r->c, name, value, where, r->err);
	return !r->is_wrong;
}

static bool run_through(struct config *c, const char *path, struct span bytes, bool is_taking,
			struct err *err)
{
	struct reading r = {
		.c = c,
		.path = path,
		.rest = bytes,
		.is_taking = is_taking,
		.err = err,
	};
	int bad_line = ini_parse_stream(next_line, &r, take_pair, &r);

	if (r.is_wrong)
		return false;
	if (bad_line != 0)
		return err_set(err, ERR_CONFIG, "%s:%d: expected \"key = value\"", path, bad_line);
	return true;
}

bool config_read_file(struct config *c, const char *path, struct err *err)
{
	SCOPED(buf) struct buf bytes = { 0 };

	if (!path_read(&bytes, path, CONFIG_FILE_MAX, err))
		return false;
	if (bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL)
		return err_set(err, ERR_CONFIG, "%s: holds a NUL byte", path);
	return run_through(c, path, buf_span(&bytes), false, err) &&
	       run_through(c, path, buf_span(&bytes), true, err);
}

bool config_read_file_if_there(struct config *c, const char *path, struct err *err)
{
	if (config_read_file(c, path, err))
		return true;
	if (err->code != ERR_NOT_FOUND)
		return false;
	err_clear(err);
	return true;
}

const char *config_text(const struct config *c, const char *name)
{
	const struct setting *s = find(c, name);

	assert(s != NULL && "programs ask for keys of their own table only");
	return s->value;
}

uint64_t config_number(const struct config *c, const char *name, uint64_t fallback)
{
	const char *text = config_text(c, name);
	const struct config_key *key = &c->keys[find(c, name) - c->settings];
	uint64_t value = 0;
	bool done;

	if (text == NULL)
		return fallback;
	if (key->type == CONFIG_SIZE)
		done = text_size(&value, text);
	else if (key->type == CONFIG_DURATION)
		done = text_duration(&value, text);
	else
		done = text_u64(&value, text, 0, UINT64_MAX);
	assert(done && "values are checked when they are offered");
	return value;
}

bool config_flag(const struct config *c, const char *name)
{
	const char *text = config_text(c, name);
	bool value = false;

	return text != NULL && read_bool(&value, text) && value;
}

size_t config_count(const struct config *c)
{
	return c->count;
}

struct config_entry config_entry_at(const struct config *c, size_t position)
{
	const struct setting *s = &c->settings[position];

	return (struct config_entry){
		.key = &c->keys[position],
		.value = s->value,
		.source = s->source,
		.where = s->where,
	};
}
