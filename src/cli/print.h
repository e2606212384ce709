/*
 * Results on stdout: aligned tables and fields for people, the same rows as JSON for programs.
 *
 * A verb builds its rows as JSON objects once and names the columns that people see; which of both
 * forms appears is the command line's choice. Whatever a row holds is escaped before a terminal
 * sees it. With --json a verb prints exactly one document, or JSON Lines where it streams.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/error.h"
#include "common/macros.h"

enum print_kind {
	PRINT_TEXT,     /* texts, numbers; lists joined by ", "; flags as yes and no */
	PRINT_SIZE,     /* bytes, shown as "20.4 MB" */
	PRINT_RATE,     /* bytes a second, shown as "2.0 MB/s" */
	PRINT_DURATION, /* seconds, shown as "2h", "90s" */
};

struct print_column {
	const char *key; /* member of the row, snake_case; NULL ends the table */
	enum print_kind kind;
	const char *title; /* NULL: the key with blanks for '_' */
};

struct print; /* where results go, and in which form */

enum {
	PRINT_AS_JSON = 1,
	PRINT_QUIET = 2, /* notes are left out */
};

struct print *print_new(FILE *stream, unsigned int flags) MUST_USE;
void print_free(struct print *p);

bool print_is_json(const struct print *p);

/*
 * An array of objects. People get one line per row with a heading, and a sentence instead of an
 * empty table ("no packages"). `rows` is borrowed.
 */
void print_table(struct print *p, const struct print_column *columns, const json_t *rows,
		 const char *if_empty);

/* One object. People get a line per field of `columns`; fields that are absent or null are left
 * out. */
void print_fields(struct print *p, const struct print_column *columns, const json_t *object);

/* A part of a larger answer for people, below a heading; nothing with --json. */
void print_section(struct print *p, const char *heading, const struct print_column *columns,
		   const json_t *rows);

/* A result line: `doc` (borrowed) with --json, the text for people. */
void print_result(struct print *p, const json_t *doc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A document as it is, one line; people get it indented. */
void print_document(struct print *p, const json_t *doc);

/* One more element of a stream: JSON Lines with --json, the text for people. */
void print_line(struct print *p, const json_t *doc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What is nice to know: for people only, and not with --quiet. */
void print_note(struct print *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A fault: {"error":…} on stdout with --json where nothing has been printed, else on stderr. */
void print_fault(struct print *p, const struct err *err);

/* Flush; ERR_IO if any of the output could not be written. */
bool print_finish(struct print *p, struct err *err) MUST_USE;

#endif
