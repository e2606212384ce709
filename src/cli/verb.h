/*
 * The frame around every command: a program is a table of verbs, a verb is a row with its words,
 * arguments, options and function. Reading the command line, settings, help, the form of the
 * output, faults and exit codes are done here, alike for packway and packway-site.
 *
 *     int main(int argc, char **argv) { return verb_main(&program, argc, argv); }
 *
 * Options common to all verbs: --json --quiet --verbose --help --version --config FILE, and those
 * of the program's own table; they stand before or after the verb.
 */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include <stdbool.h>

#include "cli/options.h"
#include "cli/print.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/error.h"
#include "common/macros.h"

struct program;
struct verb;

/* What a verb's function gets; everything is borrowed for the call. */
struct verb_call {
	const struct program *program;
	const struct verb *verb;
	const struct options *options;
	const struct config *config; /* NULL if the program has no keys */
	struct print *print;
	const struct clock *clock;
	char *const *argv; /* as the process got it, for a verb that another program carries out */
	bool is_quiet;
	enum exit_code exit; /* 0; set it where the result was printed and is not all good */
};

/* Do the work and print the result; a fault is printed by the caller and gives the exit code. */
typedef bool verb_fn(struct verb_call *call, struct err *err);

enum {
	VERB_WITHOUT_CONFIG = 1, /* runs although the configuration is wrong or absent */
};

struct verb {
	const char *name; /* one word or two: "cap add"; NULL ends a table */
	verb_fn *run;
	const char *summary;                   /* one line for the list of verbs, lower case */
	const struct argument_spec *arguments; /* may be NULL */
	const struct option_spec *options;     /* may be NULL */
	const char *notes;                     /* paragraphs below the options; may be NULL */
	unsigned int flags;
};

struct program {
	const char *name; /* "packway-site" */
	const char *summary;
	const struct verb *const *groups;  /* tables of verbs, NULL behind the last */
	const struct option_spec *options; /* besides the common ones; may be NULL */
	const struct config_key *keys;     /* may be NULL */
	/*
	 * Read the configuration files, the strongest first; flags and environment have been
	 * offered. `explicit_path` is --config's value or NULL.
	 */
	bool (*read_files)(struct config *c, const char *explicit_path, struct err *err);
};

/* Run the command line; the result is the process's exit code. */
int verb_main(const struct program *program, int argc, char **argv);

/*
 * The verb that `words` begin with: the longest name that matches. The number of its words is
 * stored in `used_out`. NULL: none.
 */
const struct verb *verb_find(const struct program *program, char *const *words, size_t count,
			     size_t *used_out);

/* The verb `config`: every key with its value, where it comes from and what it means. */
bool verb_config(struct verb_call *call, struct err *err);

/* A row for the program's own table that gives it the verb `config`. */
#define VERB_CONFIG_ROW                                                             \
	{                                                                           \
		.name = "config", .run = verb_config,                               \
		.summary = "show every setting, its value and where it comes from", \
		.flags = VERB_WITHOUT_CONFIG,                                       \
	}

#endif
