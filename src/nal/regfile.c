#include "nal/regfile.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/text.h"

void regfile_release(struct regfile *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->values[i].name);
		free(f->values[i].text);
	}
	for (size_t i = 0; i < f->key_count; i++)
		free(f->keys[i]);
	free(f->values);
	free(f->keys);
	*f = (struct regfile){ 0 };
}

/* ---- to UTF-8 ---- */

static void put_character(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_put_u8(out, (uint8_t)c);
	} else if (c < 0x800) {
		buf_put_u8(out, (uint8_t)(0xc0 | c >> 6));
		buf_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_put_u8(out, (uint8_t)(0xe0 | c >> 12));
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		buf_put_u8(out, (uint8_t)(0xf0 | c >> 18));
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_put_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

static bool is_high(uint16_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(uint16_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

static bool from_utf16(struct buf *out, struct span in, struct err *err)
{
	uint16_t unit, next;

	while (span_take_u16(&in, &unit)) {
		if (!is_high(unit) && !is_low(unit)) {
			put_character(out, unit);
			continue;
		}
		if (!is_high(unit) || !span_take_u16(&in, &next) || !is_low(next))
			return err_set(err, ERR_FORMAT, "registry export: half a UTF-16 character");
		put_character(out, 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (next - 0xdc00u));
	}
	return in.size == 0 || err_set(err, ERR_FORMAT, "registry export: half a UTF-16 character");
}

/* Windows-1252: Latin-1 but for 0x80 to 0x9f. 0 there is what it does not define. */
static void from_8_bits(struct buf *out, struct span in)
{
	static const uint16_t high[32] = {
		0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
		0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
		0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
	};

	for (size_t i = 0; i < in.size; i++) {
		uint8_t byte = in.data[i];
		uint16_t special = byte >= 0x80 && byte < 0xa0 ? high[byte - 0x80] : 0;

		put_character(out, special != 0 ? special : byte);
	}
}

static bool begins_with(struct span s, const char *bytes, size_t size)
{
	return s.size >= size && memcmp(s.data, bytes, size) == 0;
}

static bool to_utf8(struct buf *out, struct span in, struct err *err)
{
	if (begins_with(in, "\xff\xfe", 2))
		return from_utf16(out, span_skip(in, 2), err);
	if (in.size >= 2 && in.data[0] != 0 && in.data[1] == 0)
		return from_utf16(out, in, err);
	if (begins_with(in, "\xef\xbb\xbf", 3))
		in = span_skip(in, 3);
	if (text_is_utf8(in))
		buf_put_span(out, in);
	else
		from_8_bits(out, in);
	return true;
}

/* ---- reading ---- */

struct reading {
	struct regfile *file;
	struct span rest;
	unsigned int line;
	const char *key; /* NULL: before the first, or one that is deleted */
	bool has_key;
	struct err *err;
};

static bool blame(const struct reading *r, const char *why)
{
	return err_set(r->err, ERR_FORMAT, "registry export, line %u: %s", r->line, why);
}

static int peek(const struct reading *r)
{
	return r->rest.size > 0 ? r->rest.data[0] : -1;
}

static void step(struct reading *r)
{
	if (r->rest.data[0] == '\n')
		r->line++;
	r->rest = span_skip(r->rest, 1);
}

static bool take(struct reading *r, const char *text)
{
	if (!begins_with(r->rest, text, strlen(text)))
		return false;
	r->rest = span_skip(r->rest, strlen(text));
	return true;
}

static void skip_blanks(struct reading *r)
{
	while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\r')
		step(r);
}

/* The rest of the line without blanks at its end; the line's end is taken too. */
static struct span take_line(struct reading *r)
{
	struct span line = span_of("", 0);

	if (span_take_line(&r->rest, &line))
		r->line++;
	while (line.size > 0 && strchr(" \t\r", line.data[line.size - 1]) != NULL)
		line.size--;
	return line;
}

static bool take_header(struct reading *r)
{
	struct span line = take_line(r);

	return span_equal_text(line, "REGEDIT4") ||
	       span_equal_text(line, "Windows Registry Editor Version 5.00") ||
	       err_set(r->err, ERR_FORMAT, "this is no registry export") ||
	       err_fix(r->err, "export the key with regedit, as a .reg file");
}

static bool take_key(struct reading *r)
{
	struct span line = take_line(r);

	if (line.size < 3 || line.data[line.size - 1] != ']')
		return blame(r, "expected [key]");
	r->has_key = true;
	r->key = NULL;
	if (line.data[1] == '-')
		return true;
	ALLOC_GROW(r->file->keys, r->file->key_count);
	r->key = r->file->keys[r->file->key_count++] = alloc_copy(line.data + 1, line.size - 2);
	return true;
}

/* "…" with \" and \\ inside; a line may end in it. */
static bool take_quoted(struct buf *out, struct reading *r)
{
	step(r);
	while (peek(r) >= 0 && peek(r) != '"') {
		if (peek(r) == '\\') {
			step(r);
			if (peek(r) < 0)
				break;
		}
		if (peek(r) == 0)
			return blame(r, "a NUL character");
		buf_put_u8(out, (uint8_t)peek(r));
		step(r);
	}
	if (peek(r) != '"')
		return blame(r, "a quote is left open");
	step(r);
	return true;
}

static int take_digit(struct reading *r)
{
	int c = peek(r), digit = -1;

	if (c >= '0' && c <= '9')
		digit = c - '0';
	else if (c >= 'a' && c <= 'f')
		digit = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		digit = c - 'A' + 10;
	if (digit >= 0)
		step(r);
	return digit;
}

/* Between 1 and `most` digits. */
static bool take_hex(uint32_t *out, struct reading *r, unsigned int most)
{
	unsigned int count = 0;
	int digit;

	*out = 0;
	while (count < most && (digit = take_digit(r)) >= 0) {
		*out = *out << 4 | (uint32_t)digit;
		count++;
	}
	return count > 0;
}

/* A backslash at a line's end: the bytes go on in the next. */
static void skip_continuation(struct reading *r)
{
	skip_blanks(r);
	if (peek(r) != '\\')
		return;
	step(r);
	skip_blanks(r);
	if (peek(r) == '\n')
		step(r);
	skip_blanks(r);
}

static bool take_bytes(struct regfile_value *v, struct reading *r)
{
	uint32_t kind = 3, byte, count = 0, number = 0;

	if (take(r, "(") && (!take_hex(&kind, r, 8) || !take(r, ")")))
		return blame(r, "expected hex(TYPE):");
	if (!take(r, ":"))
		return blame(r, "expected a colon");
	skip_continuation(r);
	while (take_hex(&byte, r, 2)) {
		number |= count < 4 ? byte << (8 * count) : 0;
		count++;
		skip_continuation(r);
		if (!take(r, ","))
			break;
		skip_continuation(r);
	}
	v->type = kind == 4 && count == 4 ? REGFILE_NUMBER : REGFILE_OTHER;
	v->number = v->type == REGFILE_NUMBER ? number : 0;
	return true;
}

static bool take_data(struct regfile_value *v, struct reading *r)
{
	SCOPED(buf) struct buf text = { 0 };

	if (peek(r) == '"') {
		v->type = REGFILE_TEXT;
		if (!take_quoted(&text, r))
			return false;
		v->text = buf_take(&text);
		return true;
	}
	if (take(r, "dword:")) {
		v->type = REGFILE_NUMBER;
		return take_hex(&v->number, r, 8) || blame(r, "expected eight hexadecimal digits");
	}
	if (take(r, "hex"))
		return take_bytes(v, r);
	return blame(r, "expected \"text\", dword: or hex:");
}

static bool take_name(struct regfile_value *v, struct reading *r)
{
	SCOPED(buf) struct buf name = { 0 };

	if (take(r, "@")) {
		v->name = alloc_text("");
		return true;
	}
	if (!take_quoted(&name, r))
		return false;
	v->name = buf_take(&name);
	return true;
}

static bool ends_line(struct reading *r)
{
	skip_blanks(r);
	if (peek(r) == ';')
		(void)take_line(r);
	else if (peek(r) == '\n')
		step(r);
	else if (peek(r) >= 0)
		return blame(r, "something stands behind the value");
	return true;
}

static bool take_named(struct regfile_value *v, struct reading *r)
{
	if (!take_name(v, r))
		return false;
	skip_blanks(r);
	if (!take(r, "="))
		return blame(r, "expected name=value");
	skip_blanks(r);
	/* name=- deletes. */
	if (take(r, "-"))
		v->key = NULL;
	else if (!take_data(v, r))
		return false;
	return ends_line(r);
}

static bool take_value(struct reading *r)
{
	struct regfile_value v = { .key = r->key };
	bool taken = take_named(&v, r);

	if (taken && r->file->count >= REGFILE_VALUES_MAX)
		taken = err_set(r->err, ERR_LIMIT, "registry export: more than %d values",
				REGFILE_VALUES_MAX);
	if (!taken || v.key == NULL) {
		free(v.name);
		free(v.text);
		return taken;
	}
	ALLOC_GROW(r->file->values, r->file->count);
	r->file->values[r->file->count++] = v;
	return true;
}

static bool take_next(struct reading *r)
{
	switch (peek(r)) {
	case ';':
		(void)take_line(r);
		return true;
	case '\n':
		step(r);
		return true;
	case '[':
		return take_key(r);
	case '"':
	case '@':
		return r->has_key ? take_value(r) : blame(r, "a value before any [key]");
	default:
		return blame(r, "expected [key] or \"name\"=value");
	}
}

static bool read_text(struct regfile *out, struct span text, struct err *err)
{
	struct reading r = { .file = out, .rest = text, .line = 1, .err = err };

	if (!take_header(&r))
		return false;
	for (skip_blanks(&r); peek(&r) >= 0; skip_blanks(&r))
		if (!take_next(&r))
			return false;
	return true;
}

bool regfile_read(struct regfile *out, struct span bytes, struct err *err)
{
	SCOPED(buf) struct buf text = { 0 };
	bool done;

	*out = (struct regfile){ 0 };
	if (bytes.size > REGFILE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "registry export: more than %zu bytes",
			       REGFILE_BYTES_MAX);
	done = to_utf8(&text, bytes, err) && read_text(out, buf_span(&text), err);
	if (!done)
		regfile_release(out);
	return done;
}
