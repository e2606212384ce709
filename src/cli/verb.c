#include "cli/verb.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/log.h"

/* A command under way; released at the end of verb_main. */
struct command {
	const struct program *program;
	struct option_spec *global; /* the common options and the program's */
	struct options *options;
	struct config *config;
	struct print *print;
	char *const *argv;
};

static struct option_spec *join_tables(const struct option_spec *a, const struct option_spec *b)
{
	struct option_spec *joined = NULL;
	size_t count = 0;

	for (const struct option_spec *const *table =
		     (const struct option_spec *const[]){ a, b, NULL };
	     *table != NULL; table++)
		for (const struct option_spec *o = *table; o->name != NULL; o++) {
			ALLOC_GROW(joined, count);
			joined[count++] = *o;
		}
	ALLOC_GROW(joined, count);
	joined[count] = (struct option_spec){ 0 };
	return joined;
}

/* How many of the verb's words `words` begin with; 0 unless all of them. */
static size_t words_matched(const struct verb *verb, char *const *words, size_t count)
{
	struct span rest = span_of_text(verb->name), word;
	size_t used = 0;

	while (rest.size > 0) {
		if (!span_take_until(&rest, &word, ' ', rest.size)) {
			word = rest;
			rest = span_of("", 0);
		}
		if (used >= count || !span_equal_text(word, words[used]))
			return 0;
		used++;
	}
	return used;
}

const struct verb *verb_find(const struct program *program, char *const *words, size_t count,
			     size_t *used_out)
{
	const struct verb *best = NULL;

	*used_out = 0;
	for (const struct verb *const *group = program->groups; *group != NULL; group++)
		for (const struct verb *v = *group; v->name != NULL; v++) {
			size_t used = words_matched(v, words, count);

			if (used > *used_out) {
				best = v;
				*used_out = used;
			}
		}
	return best;
}

static bool is_prefix_of_verbs(const struct program *program, const char *word)
{
	size_t length = strlen(word);

	for (const struct verb *const *group = program->groups; *group != NULL; group++)
		for (const struct verb *v = *group; v->name != NULL; v++)
			if (strncmp(v->name, word, length) == 0 && v->name[length] == ' ')
				return true;
	return false;
}

/*
 * Global options may stand before the verb: move the first words that are none of them to the
 * front. The result is a new array of the same words; the caller frees it.
 */
static char **verb_first(const struct option_spec *global, char **words, size_t count)
{
	char **sorted = alloc_zeroed(count + 1, sizeof(*sorted));
	size_t at = 0, kept = 0;

	while (at < count && words[at][0] == '-' && strcmp(words[at], "--") != 0) {
		bool takes_value = false;

		for (const struct option_spec *o = global; o->name != NULL; o++)
			if (words[at][1] == '-' && strcmp(words[at] + 2, o->name) == 0)
				takes_value = o->type != OPTION_FLAG;
		at += takes_value && at + 1 < count ? 2 : 1;
	}
	for (size_t i = at; i < count && words[i][0] != '-'; i++)
		sorted[kept++] = words[i];
	for (size_t i = 0; i < at; i++)
		sorted[kept++] = words[i];
	for (size_t i = kept; i < count; i++)
		sorted[i] = words[i];
	return sorted;
}

static bool has_word(char **words, size_t count, const char *word)
{
	for (size_t i = 0; i < count && strcmp(words[i], "--") != 0; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

static bool no_such_verb(const struct program *program, const char *word, struct err *err)
{
	err_set(err, ERR_USAGE, "there is no verb \"%s\"", word);
	if (is_prefix_of_verbs(program, word)) {
		err_set(err, ERR_USAGE, "\"%s\" needs one more word", word);
		return err_fix(err, "see '%s %s --help'", program->name, word);
	}
	return err_fix(err, "see '%s --help' for all verbs", program->name);
}

static int show_program_help(struct command *cmd, const char *prefix)
{
	SCOPED(buf) struct buf text = { 0 };
	json_auto_t *doc = NULL;

	if (print_is_json(cmd->print)) {
		doc = help_document(cmd->program);
		print_document(cmd->print, doc);
		return EXIT_DONE;
	}
	help_program(&text, cmd->program, prefix);
	fputs(buf_text(&text), stdout);
	return EXIT_DONE;
}

static void show_verb_help(const struct program *program, const struct verb *verb)
{
	SCOPED(buf) struct buf text = { 0 };

	help_verb(&text, program, verb);
	fputs(buf_text(&text), stdout);
}

/* Flags are the strongest source: every option that has a key's name sets it. */
static bool offer_flags(struct command *cmd, const struct verb *verb, struct err *err)
{
	const struct option_spec *const tables[] = { cmd->global, verb->options };

	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (const struct option_spec *o = tables[t]; o != NULL && o->name != NULL; o++) {
			SCOPED_TEXT char *where = alloc_printf("--%s", o->name);

			if (!config_has(cmd->config, o->name) ||
			    !options_given(cmd->options, o->name) ||
			    (o->flags & (OPTION_REPEATED | OPTION_APART)))
				continue;
			if (!config_set(cmd->config, o->name,
					o->type == OPTION_FLAG
						? "yes"
						: options_text(cmd->options, o->name),
					CONFIG_FLAG, where, err))
				return false;
		}
	return true;
}

/* A source that is wrong: one that helps to mend it is told, and goes on with the others. */
static bool passes_over(const struct verb *verb, struct err *err)
{
	if (!(verb->flags & VERB_WITHOUT_CONFIG))
		return err_what(err, "reading the configuration");
	log_warn("%s", err->why);
	err_clear(err);
	return true;
}

static bool load_config(struct command *cmd, const struct verb *verb, struct err *err)
{
	const struct program *program = cmd->program;

	if (program->keys == NULL)
		return true;
	cmd->config = config_new(program->keys);
	return (offer_flags(cmd, verb, err) || passes_over(verb, err)) &&
	       (config_read_environment(cmd->config, err) || passes_over(verb, err)) &&
	       (program->read_files == NULL ||
		program->read_files(cmd->config, options_text(cmd->options, "config"), err) ||
		passes_over(verb, err));
}

static int run_verb(struct command *cmd, const struct verb *verb, char **words, size_t count)
{
	struct err err = { 0 };
	struct verb_call call = {
		.program = cmd->program,
		.verb = verb,
		.print = cmd->print,
		.clock = clock_system(),
		.argv = cmd->argv,
	};
	bool done = options_read(&cmd->options, cmd->global, verb->options, verb->arguments,
				 (const char *const *)words, count, &err);

	if (done && options_flag(cmd->options, "help")) {
		show_verb_help(cmd->program, verb);
		return EXIT_DONE;
	}
	if (!done)
		err_fix(&err, "see '%s %s --help'", cmd->program->name, verb->name);
	done = done && load_config(cmd, verb, &err);
	if (done) {
		call.options = cmd->options;
		call.config = cmd->config;
		call.is_quiet = options_flag(cmd->options, "quiet") || print_is_json(cmd->print);
		done = verb->run(&call, &err) && print_finish(cmd->print, &err);
	}
	if (done)
		return call.exit;
	err_what(&err, "%s", verb->name);
	print_fault(cmd->print, &err);
	return err_exit(err.code);
}

static int dispatch(struct command *cmd, char **words, size_t count)
{
	struct err err = { 0 };
	size_t used = 0;
	bool wants_help = has_word(words, count, "--help") || has_word(words, count, "-h");
	const struct verb *verb = verb_find(cmd->program, words, count, &used);

	if (verb != NULL)
		return run_verb(cmd, verb, words + used, count - used);
	if (has_word(words, count, "--version")) {
		printf("%s %s\n", cmd->program->name, PACKWAY_VERSION);
		return EXIT_DONE;
	}
	if (wants_help && (count == 0 || words[0][0] == '-'))
		return show_program_help(cmd, "");
	if (wants_help && is_prefix_of_verbs(cmd->program, words[0]))
		return show_program_help(cmd, words[0]);
	if (count == 0 || words[0][0] == '-') {
		err_set(&err, ERR_USAGE, "no verb is given");
		err_fix(&err, "see '%s --help' for all verbs", cmd->program->name);
	} else {
		no_such_verb(cmd->program, words[0], &err);
	}
	err_what(&err, "the command line cannot be read");
	print_fault(cmd->print, &err);
	return EXIT_USAGE;
}

/* Help that nobody could read is no success either. */
static int finish(struct command *cmd)
{
	struct err err = { 0 };

	if (print_finish(cmd->print, &err))
		return EXIT_DONE;
	err_what(&err, "cannot print");
	print_fault(cmd->print, &err);
	return err_exit(err.code);
}

static enum log_level level_of(char **words, size_t count)
{
	if (has_word(words, count, "--verbose"))
		return LOG_VERBOSE;
	return has_word(words, count, "--quiet") ? LOG_QUIET : LOG_NORMAL;
}

int verb_main(const struct program *program, int argc, char **argv)
{
	static const struct option_spec none[] = { { 0 } };
	struct command cmd = { .program = program, .argv = argv };
	size_t count = argc > 0 ? (size_t)argc - 1 : 0;
	char **words;
	int code;

	/* A closed pipe, or a limit on sizes of files, is a failed write, reported like any other.
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	cmd.global = join_tables(help_common_options(),
				 program->options != NULL ? program->options : none);
	words = verb_first(cmd.global, argv + 1, count);
	/* How to print must be known before the words are read: reading them may fail. */
	log_setup(program->name, level_of(words, count));
	cmd.print = print_new(stdout,
			      (has_word(words, count, "--json") ? PRINT_AS_JSON : 0) |
				      (has_word(words, count, "--quiet") ? PRINT_QUIET : 0));
	code = dispatch(&cmd, words, count);
	if (code == EXIT_DONE)
		code = finish(&cmd);
	options_free(cmd.options);
	config_free(cmd.config);
	print_free(cmd.print);
	free(cmd.global);
	free(words);
	return code;
}

bool verb_config(struct verb_call *call, struct err *err UNUSED)
{
	static const struct print_column columns[] = {
		{ "key" }, { "value" }, { "source" }, { "where" }, { "help" }, { 0 },
	};
	json_auto_t *rows = json_array();

	for (size_t i = 0; i < config_count(call->config); i++) {
		struct config_entry entry = config_entry_at(call->config, i);
		json_t *row = json_object();

		jsondoc_set_text(row, "key", entry.key->name);
		jsondoc_set(row, "value",
			    entry.value != NULL ? jsondoc_new_text(entry.value) : json_null());
		jsondoc_set_text(row, "source", config_source_name(entry.source));
		jsondoc_set_text(row, "where", entry.where);
		jsondoc_set_text(row, "help", entry.key->help);
		json_array_append_new(rows, row);
	}
	print_table(call->print, columns, rows, "no keys");
	return true;
}
