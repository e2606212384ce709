#include "cli/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/text.h"

struct given {
	const struct option_spec *spec;
	const char *value;
	bool is_extra; /* a further word behind a repeated option, perhaps an argument after all */
};

struct options {
	const struct option_spec *global;
	const struct option_spec *own;
	struct given *given;
	size_t given_count;
	const char **arguments;
	size_t argument_count;
	const char **listed; /* values grouped by option, for options_all */
};

/* The command line under way. */
struct reader {
	struct options *o;
	const char *const *words;
	size_t count;
	size_t at;
};

static const struct {
	const char *name;
	const char *value;
} types[] = {
	[OPTION_FLAG] = { "flag", "" },
	[OPTION_TEXT] = { "text", "TEXT" },
	[OPTION_NAME] = { "name", "NAME" },
	[OPTION_PATH] = { "path", "FILE" },
	[OPTION_NUMBER] = { "number", "N" },
	[OPTION_SIZE] = { "size", "SIZE" },
	[OPTION_DURATION] = { "duration", "TIME" },
	[OPTION_TIME] = { "time", "TIME" },
	[OPTION_WINDOW] = { "window", "HH:MM-HH:MM" },
	[OPTION_CHOICE] = { "choice", "WORD" },
};
static_assert(COUNT_OF(types) == OPTION_TYPE_COUNT_, "every type has a row");

const char *options_type_name(enum option_type type)
{
	return types[type].name;
}

const char *options_value_name(const struct option_spec *spec)
{
	if (spec->value != NULL)
		return spec->value;
	return spec->type == OPTION_CHOICE ? spec->choices : types[spec->type].value;
}

static bool is_choice(const char *choices, const char *value)
{
	struct span rest = span_of_text(choices), word;

	while (span_take_until(&rest, &word, '|', rest.size))
		if (span_equal_text(word, value))
			return true;
	return span_equal_text(rest, value);
}

static bool is_within(const struct option_spec *spec, uint64_t value)
{
	return (spec->min == 0 && spec->max == 0) || (value >= spec->min && value <= spec->max);
}

static bool number_is_fine(const struct option_spec *spec, const char *value)
{
	uint64_t number;

	if (spec->type == OPTION_SIZE)
		return text_size(&number, value);
	if (spec->type == OPTION_DURATION)
		return text_duration(&number, value) && is_within(spec, number);
	return text_u64(&number, value, 0, UINT64_MAX) && is_within(spec, number);
}

static bool value_is_fine(const struct option_spec *spec, const char *value)
{
	struct clock_window window;
	int64_t time_s;

	switch (spec->type) {
	case OPTION_FLAG:
		return false;
	case OPTION_TEXT:
		return text_is_utf8(span_of_text(value));
	case OPTION_NAME:
		return text_is_name(value);
	case OPTION_PATH:
		return value[0] != '\0';
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return number_is_fine(spec, value);
	case OPTION_TIME:
		/* Any "now" that lets "-1d" stay behind 1970 tells whether the form is right. */
		return clock_parse_relative(&time_s, value, INT64_C(1) << 36);
	case OPTION_WINDOW:
		return clock_window_parse(&window, value);
	case OPTION_CHOICE:
		return is_choice(spec->choices, value);
	case OPTION_TYPE_COUNT_:
		break;
	}
	return false;
}

static const char *const expected[] = {
	[OPTION_FLAG] = "no value",
	[OPTION_TEXT] = "valid UTF-8 text",
	[OPTION_NAME] = "1 to 64 letters, digits, '.', '_' or '-', not beginning with '.' or '-'",
	[OPTION_PATH] = "a file name",
	[OPTION_NUMBER] = "a whole number",
	[OPTION_SIZE] = "a size such as 10M, 512KiB or 2MB/s",
	[OPTION_DURATION] = "a duration such as 90s, 10m, 2h or 1d",
	[OPTION_TIME] = "a time such as 2026-11-22T14:00:00Z, now or +2h",
	[OPTION_WINDOW] = "a daily window such as 22:00-06:00",
	[OPTION_CHOICE] = "one of",
};
static_assert(COUNT_OF(expected) == OPTION_TYPE_COUNT_, "every type says what it expects");

bool options_check(const struct option_spec *spec, const char *label, const char *value,
		   struct err *err)
{
	assert(spec->type < OPTION_TYPE_COUNT_); /* tables of ours */
	if (value_is_fine(spec, value))
		return true;
	if (spec->type == OPTION_CHOICE)
		return err_set(err, ERR_USAGE, "%s: \"%s\" is not one of %s", label, value,
			       spec->choices);
	if (spec->max != 0)
		return err_set(err, ERR_USAGE,
			       "%s: \"%s\" is not %s between %" PRIu64 " and %" PRIu64, label,
			       value, expected[spec->type], spec->min, spec->max);
	return err_set(err, ERR_USAGE, "%s: \"%s\" is not %s", label, value, expected[spec->type]);
}

static const struct option_spec *find_in(const struct option_spec *table, struct span name,
					 char letter)
{
	for (const struct option_spec *s = table; s != NULL && s->name != NULL; s++)
		if (letter != 0 ? s->letter == letter : span_equal_text(name, s->name))
			return s;
	return NULL;
}

static const struct option_spec *find(const struct options *o, struct span name, char letter)
{
	const struct option_spec *spec = find_in(o->own, name, letter);

	return spec != NULL ? spec : find_in(o->global, name, letter);
}

/* The option that `word` begins, and the value that is part of the word (NULL: none). */
static const struct option_spec *option_of(const struct options *o, const char *word,
					   const char **inline_value)
{
	const char *equals = strchr(word, '=');
	size_t length;

	*inline_value = NULL;
	if (word[0] != '-' || word[1] == '\0')
		return NULL;
	if (word[1] != '-')
		return word[2] == '\0' ? find(o, span_of("", 0), word[1]) : NULL;
	length = equals != NULL ? (size_t)(equals - word - 2) : strlen(word + 2);
	*inline_value = equals != NULL ? equals + 1 : NULL;
	return find(o, span_of(word + 2, length), 0);
}

static void add_given(struct options *o, const struct option_spec *spec, const char *value,
		      bool is_extra)
{
	ALLOC_GROW(o->given, o->given_count);
	o->given[o->given_count++] = (struct given){ .spec = spec,
						     .value = value,
						     .is_extra = is_extra };
}

static void add_argument(struct options *o, const char *word)
{
	ALLOC_GROW(o->arguments, o->argument_count);
	o->arguments[o->argument_count++] = word;
}

static const struct given *first_given(const struct options *o, const struct option_spec *spec)
{
	for (size_t i = 0; i < o->given_count; i++)
		if (o->given[i].spec == spec)
			return &o->given[i];
	return NULL;
}

/* A value that is itself an option is a forgotten value far more often than a real one. */
static bool take_value(struct reader *r, const struct option_spec *spec, const char **value,
		       struct err *err)
{
	const char *ignored;

	if (*value != NULL)
		return true;
	if (r->at >= r->count)
		return err_set(err, ERR_USAGE, "--%s needs a value: --%s %s", spec->name,
			       spec->name, options_value_name(spec));
	if (option_of(r->o, r->words[r->at], &ignored) != NULL)
		return err_set(
			err, ERR_USAGE,
			"--%s needs a value, and \"%s\" is an option; write --%s=%s if it is meant",
			spec->name, r->words[r->at], spec->name, r->words[r->at]);
	*value = r->words[r->at++];
	return true;
}

static bool add_value(struct reader *r, const struct option_spec *spec, const char *value,
		      bool is_extra, struct err *err)
{
	char label[80];

	snprintf(label, sizeof(label), "--%s", spec->name);
	if (!options_check(spec, label, value, err))
		return false;
	add_given(r->o, spec, value, is_extra);
	return true;
}

static bool take_option(struct reader *r, const struct option_spec *spec, const char *value,
			struct err *err)
{
	if (first_given(r->o, spec) != NULL && !(spec->flags & OPTION_REPEATED) &&
	    spec->type != OPTION_FLAG)
		return err_set(err, ERR_USAGE, "--%s is given twice", spec->name);
	if (spec->type == OPTION_FLAG) {
		if (value != NULL)
			return err_set(err, ERR_USAGE, "--%s takes no value", spec->name);
		add_given(r->o, spec, NULL, false);
		return true;
	}
	if (!take_value(r, spec, &value, err) || !add_value(r, spec, value, false, err))
		return false;
	if (!(spec->flags & OPTION_REPEATED))
		return true;
	while (r->at < r->count && r->words[r->at][0] != '-')
		add_given(r->o, spec, r->words[r->at++], true);
	return true;
}

static bool take_word(struct reader *r, struct err *err)
{
	const char *word = r->words[r->at++];
	const struct option_spec *spec;
	const char *value;

	if (strcmp(word, "--") == 0) {
		while (r->at < r->count)
			add_argument(r->o, r->words[r->at++]);
		return true;
	}
	if (word[0] != '-' || word[1] == '\0') {
		add_argument(r->o, word);
		return true;
	}
	spec = option_of(r->o, word, &value);
	if (spec == NULL)
		return err_set(err, ERR_USAGE, "unknown option \"%s\"", word);
	return take_option(r, spec, value, err);
}

static size_t arguments_needed(const struct argument_spec *specs)
{
	size_t needed = 0;

	for (; specs != NULL && specs->name != NULL; specs++)
		needed += (specs->flags & ARGUMENT_OPTIONAL) == 0;
	return needed;
}

/* `--dp a LON00001` with no argument yet: the last words were arguments after all. */
static void give_back_extras(struct options *o, size_t needed)
{
	size_t kept = o->given_count;

	while (kept > 0 && o->given[kept - 1].is_extra &&
	       o->argument_count + (o->given_count - kept) < needed)
		kept--;
	for (size_t i = kept; i < o->given_count; i++)
		add_argument(o, o->given[i].value);
	o->given_count = kept;
}

static bool check_extras(const struct options *o, struct err *err)
{
	char label[80];

	for (size_t i = 0; i < o->given_count; i++) {
		const struct given *g = &o->given[i];

		snprintf(label, sizeof(label), "--%s", g->spec->name);
		if (g->is_extra && !options_check(g->spec, label, g->value, err))
			return false;
	}
	return true;
}

static bool check_required(const struct options *o, struct err *err)
{
	for (const struct option_spec *s = o->own; s != NULL && s->name != NULL; s++)
		if ((s->flags & OPTION_REQUIRED) && first_given(o, s) == NULL)
			return err_set(err, ERR_USAGE, "--%s %s is missing", s->name,
				       options_value_name(s));
	return true;
}

static bool check_arguments(const struct options *o, const struct argument_spec *specs,
			    struct err *err)
{
	const struct argument_spec *spec = specs;
	struct option_spec form = { 0 };

	for (size_t i = 0; i < o->argument_count; i++) {
		if (spec == NULL || spec->name == NULL)
			return err_set(err, ERR_USAGE, "unexpected argument \"%s\"",
				       o->arguments[i]);
		form.type = spec->type;
		if (!options_check(&form, spec->name, o->arguments[i], err))
			return false;
		if (!(spec->flags & ARGUMENT_REPEATED))
			spec++;
		else if (i + 1 == o->argument_count)
			return true;
	}
	if (spec != NULL && spec->name != NULL && !(spec->flags & ARGUMENT_OPTIONAL))
		return err_set(err, ERR_USAGE, "%s is missing", spec->name);
	return true;
}

/* One run of `listed` per option, in the order in which the options first appear. */
static void group_values(struct options *o)
{
	size_t count = 0;

	o->listed = alloc_zeroed(o->given_count + 1, sizeof(*o->listed));
	for (size_t i = 0; i < o->given_count; i++) {
		if (first_given(o, o->given[i].spec) != &o->given[i])
			continue;
		for (size_t j = i; j < o->given_count; j++)
			if (o->given[j].spec == o->given[i].spec)
				o->listed[count++] = o->given[j].value;
	}
}

static bool wants_help(const struct options *o)
{
	const struct option_spec *help = find(o, span_of_text("help"), 0);

	return help != NULL && first_given(o, help) != NULL;
}

bool options_read(struct options **out, const struct option_spec *global,
		  const struct option_spec *own, const struct argument_spec *arguments,
		  const char *const *words, size_t count, struct err *err)
{
	SCOPED(options) struct options *o = alloc_zeroed(1, sizeof(*o));
	struct reader r = { .o = o, .words = words, .count = count };

	o->global = global;
	o->own = own;
	if (count > OPTIONS_VALUES_MAX)
		return err_set(err, ERR_USAGE, "%zu words on the command line, at most %d are read",
			       count, OPTIONS_VALUES_MAX);
	while (r.at < r.count)
		if (!take_word(&r, err))
			return false;
	give_back_extras(o, arguments_needed(arguments));
	if (!wants_help(o) && (!check_extras(o, err) || !check_arguments(o, arguments, err) ||
			       !check_required(o, err)))
		return false;
	group_values(o);
	*out = o;
	o = NULL;
	return true;
}

void options_free(struct options *o)
{
	if (o == NULL)
		return;
	free(o->given);
	free(o->arguments);
	free(o->listed);
	free(o);
}

static const struct option_spec *known(const struct options *o, const char *name)
{
	const struct option_spec *spec = find(o, span_of_text(name), 0);

	assert(spec != NULL && "a verb asks for options of its own table only");
	return spec;
}

bool options_given(const struct options *o, const char *name)
{
	return first_given(o, known(o, name)) != NULL;
}

bool options_flag(const struct options *o, const char *name)
{
	return options_given(o, name);
}

const char *options_text(const struct options *o, const char *name)
{
	const struct given *g = first_given(o, known(o, name));

	return g != NULL ? g->value : NULL;
}

uint64_t options_number(const struct options *o, const char *name, uint64_t fallback)
{
	const struct given *g = first_given(o, known(o, name));
	uint64_t value = 0;
	bool done;

	if (g == NULL)
		return fallback;
	if (g->spec->type == OPTION_SIZE)
		done = text_size(&value, g->value);
	else if (g->spec->type == OPTION_DURATION)
		done = text_duration(&value, g->value);
	else
		done = text_u64(&value, g->value, 0, UINT64_MAX);
	assert(done && "the value was checked when it was read");
	return value;
}

int64_t options_time(const struct options *o, const char *name, int64_t now_s, int64_t fallback)
{
	const char *text = options_text(o, name);
	int64_t time_s;

	if (text == NULL || !clock_parse_relative(&time_s, text, now_s))
		return fallback;
	return time_s;
}

const char *const *options_all(const struct options *o, const char *name, size_t *count_out)
{
	const struct option_spec *spec = known(o, name);
	const struct given *first = first_given(o, spec);
	size_t before = 0, count = 0;

	for (size_t i = 0; i < o->given_count; i++)
		if (o->given[i].spec == spec)
			count++;
		else if (first_given(o, o->given[i].spec) < first)
			before++;
	*count_out = count;
	return o->listed + before;
}

const char *options_argument(const struct options *o, size_t position)
{
	return position < o->argument_count ? o->arguments[position] : NULL;
}

size_t options_argument_count(const struct options *o)
{
	return o->argument_count;
}
