#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the valid UTF-8 character at the front of `s`, 0 if there is none; its code point. */
static size_t utf8_char(struct span s, uint32_t *point_out)
{
	const uint8_t *p = s.data;
	uint32_t point;
	size_t need;

	if (s.size == 0)
		return 0;
	*point_out = p[0];
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		need = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		need = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (s.size < need)
		return 0;
	point = p[0] & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (p[i] & 0x3fu);
	}
	if (need == 3 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff)))
		return 0;
	if (need == 4 && (point < 0x10000 || point > 0x10ffff))
		return 0;
	*point_out = point;
	return need;
}

bool text_is_utf8(struct span bytes)
{
	while (bytes.size > 0) {
		uint32_t point;
		size_t n = utf8_char(bytes, &point);

		if (n == 0)
			return false;
		bytes = span_skip(bytes, n);
	}
	return true;
}

/* White_Space of Unicode, and what joins letters where there are none. */
static bool is_blank(uint32_t point)
{
	static const struct {
		uint32_t first, last;
	} blanks[] = {
		{ 0x09, 0x0d },     { 0x20, 0x20 },     { 0x85, 0x85 },     { 0xa0, 0xa0 },
		{ 0x1680, 0x1680 }, { 0x2000, 0x200d }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
		{ 0x205f, 0x2060 }, { 0x2800, 0x2800 }, { 0x3000, 0x3000 }, { 0xfeff, 0xfeff },
	};

	for (size_t i = 0; i < COUNT_OF(blanks); i++)
		if (point >= blanks[i].first && point <= blanks[i].last)
			return true;
	return false;
}

bool text_is_blank(const char *text)
{
	struct span rest = span_of_text(text);

	while (rest.size > 0) {
		uint32_t point;
		size_t n = utf8_char(rest, &point);

		if (n == 0 || !is_blank(point))
			return false;
		rest = span_skip(rest, n);
	}
	return true;
}

/*
 * What steers a terminal (C1 as well as C0) or how its neighbours are shown: separators of lines,
 * marks of direction, what is invisible, and tags. Joiners are letters' business and stay.
 */
static bool is_control(uint32_t point)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x00, 0x1f },     { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },
		{ 0x180e, 0x180e }, { 0x200b, 0x200b }, { 0x200e, 0x200f }, { 0x2028, 0x202e },
		{ 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
	};

	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (point >= ranges[i].first && point <= ranges[i].last)
			return true;
	return false;
}

static size_t escape_byte(char out[5], uint8_t byte)
{
	if (byte == '\n')
		return (size_t)snprintf(out, 5, "\\n");
	if (byte == '\t')
		return (size_t)snprintf(out, 5, "\\t");
	if (byte == '\r')
		return (size_t)snprintf(out, 5, "\\r");
	return (size_t)snprintf(out, 5, "\\x%02x", byte);
}

void text_escape_span(char *dst, size_t size, struct span src)
{
	size_t used = 0;

	assert(size > 0);
	while (src.size > 0) {
		uint32_t point = 0;
		size_t n = utf8_char(src, &point);
		char escaped[5];
		const void *piece = src.data;
		size_t piece_size = n;

		if (n == 0 || is_control(point)) {
			n = 1;
			piece_size = escape_byte(escaped, src.data[0]);
			piece = escaped;
		}
		if (used + piece_size >= size)
			break;
		memcpy(dst + used, piece, piece_size);
		used += piece_size;
		src = span_skip(src, n);
	}
	dst[used] = '\0';
}

void text_escape_line(char *dst, size_t size, const char *src)
{
	text_escape_span(dst, size, span_of_text(src));
}

void text_cut(char *dst, size_t size, const char *src)
{
	struct span rest = span_of_text(src);
	size_t used = 0;
	uint32_t point;

	assert(size > 0);
	while (rest.size > 0) {
		size_t n = MAX_OF(utf8_char(rest, &point), (size_t)1);

		if (used + n >= size)
			break;
		memcpy(dst + used, rest.data, n);
		used += n;
		rest = span_skip(rest, n);
	}
	dst[used] = '\0';
}

void text_hex(char *dst, const uint8_t *src, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		dst[2 * i] = digits[src[i] >> 4];
		dst[2 * i + 1] = digits[src[i] & 15];
	}
	dst[2 * size] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool text_unhex(uint8_t *dst, size_t size, const char *hex)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_value(hex[2 * i]);
		int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (low < 0)
			return false;
		dst[i] = (uint8_t)(high << 4 | low);
	}
	return hex[2 * size] == '\0';
}

bool text_u64(uint64_t *out, const char *text, uint64_t min, uint64_t max)
{
	uint64_t value = 0;

	if (text[0] == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	}
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool text_is_name(const char *text)
{
	size_t n = strlen(text);

	if (n < 1 || n > 64 || text[0] == '.' || text[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(text[i]) && strchr("._-", text[i]) == NULL)
			return false;
	return true;
}

bool text_is_object_id(const char *text)
{
	if (strlen(text) != 8)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (!is_alnum(text[i]) || (text[i] >= 'a' && text[i] <= 'z'))
			return false;
	for (size_t i = 3; i < 8; i++)
		if (hex_value(text[i]) < 0 || (text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

bool text_is_client_id(const char *text)
{
	if (strlen(text) != 32)
		return false;
	for (size_t i = 0; i < 32; i++)
		if (hex_value(text[i]) < 0 || (text[i] >= 'A' && text[i] <= 'F'))
			return false;
	return true;
}

static char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equal_nocase(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (ascii_lower(*a) != ascii_lower(*b))
			return false;
	return *a == *b;
}

/* The value of "12", "0.5"; *rest_out is the first character behind it. */
static bool take_number(long double *out, const char *text, const char **rest_out)
{
	long double value = 0, unit = 1;
	const char *p = text;

	while (*p >= '0' && *p <= '9' && p - text < 20)
		value = value * 10 + (*p++ - '0');
	if (p == text)
		return false;
	if (*p == '.') {
		const char *dot = p++;

		while (*p >= '0' && *p <= '9' && p - dot < 10) {
			unit /= 10;
			value += unit * (*p++ - '0');
		}
		if (p == dot + 1)
			return false;
	}
	*out = value;
	*rest_out = p;
	return true;
}

bool text_size(uint64_t *bytes_out, const char *text)
{
	static const char letters[] = "KMGT";
	const char *unit, *rest;
	long double value;
	long double factor = 1;

	if (!take_number(&value, text, &rest))
		return false;
	unit = *rest != '\0' ? strchr(letters, *rest == 'k' ? 'K' : *rest) : NULL;
	if (unit != NULL) {
		long double step = rest[1] == 'i' ? 1024 : 1000;

		for (const char *p = letters; p <= unit; p++)
			factor *= step;
		rest += rest[1] == 'i' ? 2 : 1;
	}
	if (*rest == 'B')
		rest++;
	if (strcmp(rest, "/s") == 0)
		rest += 2;
	if (*rest != '\0' || value * factor > (long double)INT64_MAX)
		return false;
	*bytes_out = (uint64_t)(value * factor);
	return true;
}

bool text_duration(uint64_t *seconds_out, const char *text)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = { { "", 1 },     { "s", 1 },    { "m", 60 },
		      { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
	const char *rest;
	long double value;

	if (!take_number(&value, text, &rest))
		return false;
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		if (strcmp(rest, units[i].unit) != 0)
			continue;
		if (value * (long double)units[i].seconds > (long double)INT64_MAX)
			return false;
		*seconds_out = (uint64_t)(value * (long double)units[i].seconds);
		return true;
	}
	return false;
}

void text_print_size(char *dst, uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 999.95 && unit + 1 < COUNT_OF(units)) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(dst, 32, "%" PRIu64 " B", bytes);
	else
		snprintf(dst, 32, "%.1f %s", value, units[unit]);
}
