/*
 * Settings from one table: each key has a name, a type, a default and a help line, and its value
 * comes from the strongest source that names it: flag > environment > file > policy > default.
 *
 *     config_new → config_set (flags) → config_read_environment → config_read_file … → config_text
 *
 * Sources may be read in any order; between two files the first one read wins. Environment names
 * are PACKWAY_ and the key in upper case with '_' for '-'. The manual's table and the verb `config`
 * are made from the same rows.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"

#define CONFIG_FILE_MAX  (256u << 10) /* bytes of a configuration file */
#define CONFIG_VALUE_MAX 4096         /* bytes of a value, terminator included */

enum config_source {
	CONFIG_DEFAULT,
	CONFIG_POLICY,
	CONFIG_FILE,
	CONFIG_ENVIRONMENT,
	CONFIG_FLAG,
	CONFIG_SOURCE_COUNT_,
};

enum config_type {
	CONFIG_TEXT, /* UTF-8 */
	CONFIG_PATH, /* a file name */
	CONFIG_BOOL, /* yes, no, true, false, on, off, 1, 0 */
	CONFIG_NUMBER,
	CONFIG_SIZE,     /* text_size: bytes, or bytes a second */
	CONFIG_DURATION, /* text_duration: seconds */
	CONFIG_TYPE_COUNT_,
};

struct config_key {
	const char *name; /* lower case with '-'; NULL ends the table */
	enum config_type type;
	const char *fallback; /* the default as text; NULL: none */
	const char *help;     /* one line, lower case, no full stop */
	uint64_t max;         /* of a CONFIG_NUMBER; 0: none */
};

/* One row for people and programs; texts are borrowed from the config. */
struct config_entry {
	const struct config_key *key;
	const char *value; /* NULL: not set and no default */
	enum config_source source;
	const char *where; /* "PACKWAY_SITE", "/etc/packway/site.conf:12"; NULL for the default */
};

struct config;

/* A config where every key has its default. `keys` must outlive it and its defaults must be valid.
 */
struct config *config_new(const struct config_key *keys) MUST_USE;
void config_free(struct config *c);

static inline void config_scoped(struct config **c)
{
	config_free(*c);
}

/*
 * Offer a value; it is kept if no stronger source has given one. `where` (may be NULL) says where
 * it stands. ERR_CONFIG if there is no such key or the value does not fit its type.
 */
bool config_set(struct config *c, const char *name, const char *value, enum config_source source,
		const char *where, struct err *err) MUST_USE;

/*
 * Offer what the environment holds for the table's keys; empty variables count as absent. The fault
 * is that of the first wrong one; the others are taken nevertheless.
 */
bool config_read_environment(struct config *c, struct err *err) MUST_USE;

/*
 * Offer an INI file's `key = value` lines (no sections; `;` and `#` begin comments). An absent file
 * is ERR_NOT_FOUND; an unknown key, a section, a line that is none or a value that does not fit is
 * ERR_CONFIG with file and line, and nothing of the file is taken.
 */
bool config_read_file(struct config *c, const char *path, struct err *err) MUST_USE;

/* The same where the file may be absent. */
bool config_read_file_if_there(struct config *c, const char *path, struct err *err) MUST_USE;

/*
 * Values by key, which must be in the table (assert). Texts are borrowed until the next change and
 * NULL where nothing is set; the others are `fallback` then.
 */
const char *config_text(const struct config *c, const char *name);
uint64_t config_number(const struct config *c, const char *name, uint64_t fallback);
bool config_flag(const struct config *c, const char *name);

/* All rows in the table's order. */
size_t config_count(const struct config *c);
struct config_entry config_entry_at(const struct config *c, size_t position);

/* True if the table has such a key. */
bool config_has(const struct config *c, const char *name);

/* Stable names: "default", "policy", "file", "environment", "flag"; "text", "path", … */
const char *config_source_name(enum config_source source);
const char *config_type_name(enum config_type type);

#endif
