#include "cli/help.h"

#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"

static const struct option_spec common_options[] = {
	{ .name = "json", .help = "print one JSON document (JSON Lines where it streams)" },
	{ .name = "quiet", .help = "print results and errors only" },
	{ .name = "verbose", .help = "say on stderr what is being done" },
	{ .name = "help", .letter = 'h', .help = "show this help" },
	{ .name = "version", .help = "show the version" },
	{ .name = "config", .type = OPTION_PATH, .help = "read this configuration file only" },
	{ 0 },
};

const struct option_spec *help_common_options(void)
{
	return common_options;
}

static void put_argument(struct buf *out, const struct argument_spec *a)
{
	bool is_optional = a->flags & ARGUMENT_OPTIONAL;

	buf_printf(out, " %s%s%s%s", is_optional ? "[" : "", a->name,
		   a->flags & ARGUMENT_REPEATED ? "..." : "", is_optional ? "]" : "");
}

static void put_option_usage(struct buf *out, const struct option_spec *o)
{
	bool is_optional = !(o->flags & OPTION_REQUIRED);

	buf_printf(out, " %s--%s", is_optional ? "[" : "", o->name);
	if (o->type != OPTION_FLAG)
		buf_printf(out, " %s%s", options_value_name(o),
			   o->flags & OPTION_REPEATED ? "..." : "");
	buf_put_text(out, is_optional ? "]" : "");
}

void help_usage(struct buf *out, const struct program *program, const struct verb *verb)
{
	buf_printf(out, "%s %s", program->name, verb->name);
	for (const struct argument_spec *a = verb->arguments; a != NULL && a->name != NULL; a++)
		put_argument(out, a);
	for (const struct option_spec *o = verb->options; o != NULL && o->name != NULL; o++)
		put_option_usage(out, o);
}

static void put_entry(struct buf *out, const char *label, const char *help)
{
	if (strlen(label) > 28)
		buf_printf(out, "  %s\n  %-28s  %s\n", label, "", help);
	else
		buf_printf(out, "  %-28s  %s\n", label, help);
}

static void put_options(struct buf *out, const char *heading, const struct option_spec *table)
{
	if (table == NULL || table->name == NULL)
		return;
	buf_printf(out, "\n%s\n", heading);
	for (const struct option_spec *o = table; o->name != NULL; o++) {
		SCOPED(buf) struct buf label = { 0 };

		buf_printf(&label, "--%s", o->name);
		if (o->letter != 0)
			buf_printf(&label, ", -%c", o->letter);
		if (o->type != OPTION_FLAG)
			buf_printf(&label, " %s", options_value_name(o));
		put_entry(out, buf_text(&label), o->help);
	}
}

void help_verb(struct buf *out, const struct program *program, const struct verb *verb)
{
	buf_put_text(out, "usage: ");
	help_usage(out, program, verb);
	buf_printf(out, "\n\n%s\n", verb->summary);
	if (verb->arguments != NULL && verb->arguments->name != NULL)
		buf_put_text(out, "\narguments\n");
	for (const struct argument_spec *a = verb->arguments; a != NULL && a->name != NULL; a++)
		put_entry(out, a->name, a->help);
	put_options(out, "options", verb->options);
	put_options(out, "program options", program->options);
	put_options(out, "common options", common_options);
	if (verb->notes != NULL)
		buf_printf(out, "\n%s\n", verb->notes);
}

static bool has_prefix(const char *name, const char *prefix)
{
	size_t length = strlen(prefix);

	return length == 0 || (strncmp(name, prefix, length) == 0 &&
			       (name[length] == ' ' || name[length] == '\0'));
}

void help_program(struct buf *out, const struct program *program, const char *prefix)
{
	buf_printf(out, "usage: %s VERB [ARGUMENT...] [OPTION...]\n\n%s\n\nverbs\n", program->name,
		   program->summary);
	for (const struct verb *const *group = program->groups; *group != NULL; group++)
		for (const struct verb *v = *group; v->name != NULL; v++)
			if (has_prefix(v->name, prefix))
				put_entry(out, v->name, v->summary);
	put_options(out, "program options", program->options);
	put_options(out, "common options", common_options);
	buf_printf(out, "\n'%s VERB --help' shows a verb's arguments and options.\n",
		   program->name);
}

static json_t *option_rows(const struct option_spec *table)
{
	json_t *rows = json_array();

	for (const struct option_spec *o = table; o != NULL && o->name != NULL; o++) {
		json_t *row = json_object();

		jsondoc_set_text(row, "name", o->name);
		jsondoc_set_text(row, "type", options_type_name(o->type));
		jsondoc_set_text(row, "value", options_value_name(o));
		jsondoc_set_flag(row, "required", o->flags & OPTION_REQUIRED);
		jsondoc_set_flag(row, "repeated", o->flags & OPTION_REPEATED);
		jsondoc_set_text(row, "help", o->help);
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *argument_rows(const struct argument_spec *table)
{
	json_t *rows = json_array();

	for (const struct argument_spec *a = table; a != NULL && a->name != NULL; a++) {
		json_t *row = json_object();

		jsondoc_set_text(row, "name", a->name);
		jsondoc_set_flag(row, "required", !(a->flags & ARGUMENT_OPTIONAL));
		jsondoc_set_flag(row, "repeated", a->flags & ARGUMENT_REPEATED);
		jsondoc_set_text(row, "help", a->help);
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *key_rows(const struct config_key *keys)
{
	json_t *rows = json_array();

	for (const struct config_key *k = keys; k != NULL && k->name != NULL; k++) {
		json_t *row = json_object();

		jsondoc_set_text(row, "name", k->name);
		jsondoc_set_text(row, "type", config_type_name(k->type));
		jsondoc_set_text(row, "default", k->fallback);
		jsondoc_set_text(row, "help", k->help);
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *verb_row(const struct program *program, const struct verb *verb)
{
	SCOPED(buf) struct buf usage = { 0 };
	json_t *row = json_object();

	help_usage(&usage, program, verb);
	jsondoc_set_text(row, "name", verb->name);
	jsondoc_set_text(row, "summary", verb->summary);
	jsondoc_set_text(row, "usage", buf_text(&usage));
	jsondoc_set(row, "arguments", argument_rows(verb->arguments));
	jsondoc_set(row, "options", option_rows(verb->options));
	jsondoc_set_text(row, "notes", verb->notes);
	return row;
}

json_t *help_document(const struct program *program)
{
	json_t *doc = json_object(), *verbs = json_array();

	for (const struct verb *const *group = program->groups; *group != NULL; group++)
		for (const struct verb *v = *group; v->name != NULL; v++)
			json_array_append_new(verbs, verb_row(program, v));
	jsondoc_set_text(doc, "program", program->name);
	jsondoc_set_text(doc, "summary", program->summary);
	jsondoc_set(doc, "verbs", verbs);
	jsondoc_set(doc, "options", option_rows(program->options));
	jsondoc_set(doc, "common_options", option_rows(common_options));
	jsondoc_set(doc, "keys", key_rows(program->keys));
	return doc;
}
