/*
 * The words behind a verb: arguments and options, read by tables.
 *
 * A table row says an option's name, what its value looks like, whether it may be repeated and what
 * the help says; reading checks all of that, so that a verb finds only values that parse. Taken are
 * `--name value`, `--name=value`, `-x value` for rows with a letter, and `--` before arguments that
 * begin with a dash. Unknown options are refused.
 *
 *     options_read → options_flag, options_text, options_number, … → options_free
 *
 * PURE.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

#define OPTIONS_VALUES_MAX 4096 /* words of one command line that are looked at */

enum option_type {
	OPTION_FLAG,     /* no value */
	OPTION_TEXT,     /* any UTF-8 text */
	OPTION_NAME,     /* text_is_name */
	OPTION_PATH,     /* a file name: any bytes, not empty */
	OPTION_NUMBER,   /* a whole number within [min, max] */
	OPTION_SIZE,     /* 10M, 2MB/s: bytes, or bytes a second */
	OPTION_DURATION, /* 90, 10m, 2h, 1d: seconds within [min, max] */
	OPTION_TIME,     /* RFC 3339, now, +2h */
	OPTION_WINDOW,   /* HH:MM-HH:MM */
	OPTION_CHOICE,   /* one word of `choices` */
	OPTION_TYPE_COUNT_,
};

enum {
	OPTION_REPEATED =
		1, /* may be given several times, and takes several words: --dp a b --dp c */
	OPTION_REQUIRED = 2,
	OPTION_APART = 4, /* has nothing to do with the setting of that name */
};

struct option_spec {
	const char *name; /* without dashes; NULL ends the table */
	enum option_type type;
	char letter; /* -o; 0: none */
	unsigned int flags;
	const char *value;   /* the value's name in the help, "FILE"; NULL: from the type */
	const char *choices; /* OPTION_CHOICE: "in-tier|cross-tier" */
	uint64_t min, max;   /* OPTION_NUMBER and OPTION_DURATION; both 0: any */
	const char *help;    /* one line, lower case, no full stop */
};

enum {
	ARGUMENT_OPTIONAL = 1,
	ARGUMENT_REPEATED =
		2, /* the last one only: one or more, with ARGUMENT_OPTIONAL none or more */
};

struct argument_spec {
	const char *name; /* upper case as the help shows it; NULL ends the table */
	enum option_type type;
	unsigned int flags;
	const char *help;
};

struct options;

/*
 * Read `words` (`count` of them, without the verb). Tables may be NULL; `global` options may stand
 * anywhere among the others. Required options and arguments are not missed when a flag named "help"
 * was given. ERR_USAGE says which word is wrong and why. The result borrows words and tables.
 */
bool options_read(struct options **out, const struct option_spec *global,
		  const struct option_spec *own, const struct argument_spec *arguments,
		  const char *const *words, size_t count, struct err *err) MUST_USE;

void options_free(struct options *o);

static inline void options_scoped(struct options **o)
{
	options_free(*o);
}

/*
 * Values by the option's name, which must be one of the tables' (assert). Texts are borrowed from
 * the command line; NULL, `fallback` and 0 values mean that it was not given.
 */
bool options_given(const struct options *o, const char *name);
bool options_flag(const struct options *o, const char *name);
const char *options_text(const struct options *o, const char *name);
uint64_t options_number(const struct options *o, const char *name, uint64_t fallback);
int64_t options_time(const struct options *o, const char *name, int64_t now_s, int64_t fallback);

/* All values of a repeated option in their order; borrowed. */
const char *const *options_all(const struct options *o, const char *name, size_t *count_out);

/* Arguments by position; NULL behind the last. */
const char *options_argument(const struct options *o, size_t position);
size_t options_argument_count(const struct options *o);

/* The word that help shows for a value: the row's own, or one for its type. */
const char *options_value_name(const struct option_spec *spec);

/* The stable name of a type, for tables of the manual ("text", "size", …). */
const char *options_type_name(enum option_type type);

/* Check a text against a type's form, as options_read does; ERR_USAGE names `label`. */
bool options_check(const struct option_spec *spec, const char *label, const char *value,
		   struct err *err) MUST_USE;

#endif
