#include "cli/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/jsondoc.h"
#include "common/log.h"
#include "common/text.h"

#define CELL_MAX 1024 /* bytes of one value on a line */

struct print {
	FILE *stream;
	unsigned int flags;
	bool has_begun;
};

struct print *print_new(FILE *stream, unsigned int flags)
{
	struct print *p = alloc_zeroed(1, sizeof(*p));

	p->stream = stream;
	p->flags = flags;
	return p;
}

void print_free(struct print *p)
{
	free(p);
}

bool print_is_json(const struct print *p)
{
	return p->flags & PRINT_AS_JSON;
}

static void put_json(struct print *p, const json_t *doc)
{
	SCOPED(buf) struct buf text = { 0 };

	jsondoc_write(&text, doc);
	fprintf(p->stream, "%s\n", buf_text(&text));
	p->has_begun = true;
}

static void print_duration(char *dst, size_t size, json_int_t seconds)
{
	static const struct {
		json_int_t seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };

	for (size_t i = 0; i < COUNT_OF(units); i++)
		if (seconds >= units[i].seconds && seconds % units[i].seconds == 0) {
			snprintf(dst, size, "%" JSON_INTEGER_FORMAT "%c",
				 seconds / units[i].seconds, units[i].unit);
			return;
		}
	snprintf(dst, size, "%" JSON_INTEGER_FORMAT "s", seconds);
}

static void print_number(char *dst, size_t size, json_int_t value, enum print_kind kind)
{
	char text[40];

	switch (kind) {
	case PRINT_SIZE:
	case PRINT_RATE:
		text_print_size(text, value > 0 ? (uint64_t)value : 0);
		snprintf(dst, size, "%s%s", text, kind == PRINT_RATE ? "/s" : "");
		return;
	case PRINT_DURATION:
		print_duration(dst, size, value);
		return;
	case PRINT_TEXT:
		break;
	}
	snprintf(dst, size, "%" JSON_INTEGER_FORMAT, value);
}

/* JSON escapes less than a terminal needs. */
static void put_object(struct buf *out, const json_t *value)
{
	SCOPED(buf) struct buf text = { 0 };
	char *safe;

	jsondoc_write(&text, value);
	safe = alloc_zeroed(4 * text.size + 1, 1);
	text_escape_span(safe, 4 * text.size + 1, buf_span(&text));
	buf_put_text(out, safe);
	free(safe);
}

static void put_value(struct buf *out, const json_t *value, enum print_kind kind)
{
	char text[CELL_MAX];
	json_t *item;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_STRING:
		text_escape_line(text, sizeof(text), json_string_value(value));
		buf_put_text(out, text);
		return;
	case JSON_INTEGER:
		print_number(text, sizeof(text), json_integer_value(value), kind);
		buf_put_text(out, text);
		return;
	case JSON_REAL:
		buf_printf(out, "%.1f", json_real_value(value));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_put_text(out, json_is_true(value) ? "yes" : "no");
		return;
	case JSON_ARRAY:
		json_array_foreach (value, i, item) {
			if (i > 0)
				buf_put_text(out, ", ");
			put_value(out, item, kind);
		}
		return;
	case JSON_OBJECT:
		put_object(out, value);
		return;
	case JSON_NULL:
		return;
	}
}

/* The text of a row's member; "-" for what is absent. The caller frees it. */
static char *cell_text(const json_t *row, const struct print_column *column)
{
	SCOPED(buf) struct buf text = { 0 };
	const json_t *value = json_object_get(row, column->key);

	if (value != NULL)
		put_value(&text, value, column->kind);
	if (text.size == 0)
		buf_put_text(&text, "-");
	return buf_take(&text);
}

static char *title_text(const struct print_column *column)
{
	char *title = alloc_text(column->title != NULL ? column->title : column->key);

	for (char *p = title; *p != '\0'; p++)
		if (*p == '_')
			*p = ' ';
	return title;
}

/* Columns on a terminal: bytes that continue a UTF-8 character take none. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static size_t column_count(const struct print_column *columns)
{
	size_t count = 0;

	while (columns[count].key != NULL)
		count++;
	return count;
}

static bool is_number_column(const struct print_column *column, const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const json_t *value = json_object_get(row, column->key);

		if (value != NULL && !json_is_number(value) && !json_is_null(value))
			return false;
	}
	return true;
}

static void put_cell(struct buf *line, const char *text, int width, bool is_right, bool is_last)
{
	int pad = width - width_of(text);

	if (is_right)
		buf_printf(line, "%*s", pad, "");
	buf_put_text(line, text);
	if (!is_last)
		buf_printf(line, "%*s", (is_right ? 0 : pad) + 2, "");
}

/* A table under way: (rows + 1) × columns cells, the heading first. */
struct grid {
	size_t columns;
	size_t rows;
	char **cells;
	int *widths;
	bool *is_right;
};

static void grid_fill(struct grid *g, const struct print_column *columns, const json_t *rows)
{
	g->columns = column_count(columns);
	g->rows = json_array_size(rows) + 1;
	g->cells = alloc_zeroed(g->rows * g->columns, sizeof(*g->cells));
	g->widths = alloc_zeroed(g->columns, sizeof(*g->widths));
	g->is_right = alloc_zeroed(g->columns, sizeof(*g->is_right));
	for (size_t i = 0; i < g->rows; i++)
		for (size_t j = 0; j < g->columns; j++) {
			char *text = i == 0 ? title_text(&columns[j])
					    : cell_text(json_array_get(rows, i - 1), &columns[j]);

			g->cells[i * g->columns + j] = text;
			g->widths[j] = MAX_OF(g->widths[j], width_of(text));
		}
	for (size_t j = 0; j < g->columns; j++)
		g->is_right[j] = is_number_column(&columns[j], rows);
}

static void grid_release(struct grid *g)
{
	for (size_t i = 0; i < g->rows * g->columns; i++)
		free(g->cells[i]);
	free(g->cells);
	free(g->widths);
	free(g->is_right);
}

static void put_rows(struct print *p, const struct print_column *columns, const json_t *rows)
{
	struct grid g;

	grid_fill(&g, columns, rows);
	for (size_t i = 0; i < g.rows; i++) {
		SCOPED(buf) struct buf line = { 0 };

		for (size_t j = 0; j < g.columns; j++)
			put_cell(&line, g.cells[i * g.columns + j], g.widths[j], g.is_right[j],
				 j + 1 == g.columns);
		fprintf(p->stream, "%s\n", buf_text(&line));
	}
	grid_release(&g);
}

void print_table(struct print *p, const struct print_column *columns, const json_t *rows,
		 const char *if_empty)
{
	if (print_is_json(p)) {
		put_json(p, rows);
		return;
	}
	if (json_array_size(rows) == 0)
		print_note(p, "%s", if_empty);
	else
		put_rows(p, columns, rows);
	p->has_begun = true;
}

void print_section(struct print *p, const char *heading, const struct print_column *columns,
		   const json_t *rows)
{
	if (print_is_json(p) || json_array_size(rows) == 0)
		return;
	fprintf(p->stream, "\n%s\n", heading);
	put_rows(p, columns, rows);
}

void print_fields(struct print *p, const struct print_column *columns, const json_t *object)
{
	int width = 0;

	if (print_is_json(p)) {
		put_json(p, object);
		return;
	}
	for (const struct print_column *c = columns; c->key != NULL; c++) {
		SCOPED_TEXT char *title = title_text(c);

		width = MAX_OF(width, width_of(title));
	}
	for (const struct print_column *c = columns; c->key != NULL; c++) {
		SCOPED_TEXT char *title = title_text(c);
		SCOPED_TEXT char *value = cell_text(object, c);

		if (json_object_get(object, c->key) != NULL && strcmp(value, "-") != 0)
			fprintf(p->stream, "%s:%*s %s\n", title, width - width_of(title), "",
				value);
	}
	p->has_begun = true;
}

PRINTF_LIKE(2, 0) static void put_line(struct print *p, const char *fmt, va_list args)
{
	SCOPED(buf) struct buf raw = { 0 };
	char *safe;

	buf_vprintf(&raw, fmt, args);
	safe = alloc_zeroed(4 * raw.size + 1, 1);
	text_escape_line(safe, 4 * raw.size + 1, buf_text(&raw));
	fprintf(p->stream, "%s\n", safe);
	free(safe);
}

void print_result(struct print *p, const json_t *doc, const char *fmt, ...)
{
	va_list args;

	if (print_is_json(p)) {
		put_json(p, doc);
		return;
	}
	va_start(args, fmt);
	put_line(p, fmt, args);
	va_end(args);
	p->has_begun = true;
}

void print_line(struct print *p, const json_t *doc, const char *fmt, ...)
{
	va_list args;

	if (print_is_json(p)) {
		put_json(p, doc);
	} else {
		va_start(args, fmt);
		put_line(p, fmt, args);
		va_end(args);
	}
	fflush(p->stream);
}

void print_document(struct print *p, const json_t *doc)
{
	char *text;

	if (print_is_json(p)) {
		put_json(p, doc);
		return;
	}
	text = json_dumps(doc, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	fprintf(p->stream, "%s\n", text != NULL ? text : "");
	free(text);
	p->has_begun = true;
}

void print_note(struct print *p, const char *fmt, ...)
{
	va_list args;

	if (p->flags & (PRINT_AS_JSON | PRINT_QUIET))
		return;
	va_start(args, fmt);
	put_line(p, fmt, args);
	va_end(args);
}

void print_fault(struct print *p, const struct err *err)
{
	json_auto_t *doc = NULL;

	if (!print_is_json(p) || p->has_begun) {
		fflush(p->stream);
		log_error(err);
		return;
	}
	doc = json_object();
	jsondoc_set(doc, "error", jsondoc_new_error(err));
	put_json(p, doc);
}

bool print_finish(struct print *p, struct err *err)
{
	errno = 0;
	if (fflush(p->stream) == 0 && !ferror(p->stream))
		return true;
	return err_sys(err, ERR_IO, errno != 0 ? errno : EIO, "standard output");
}
