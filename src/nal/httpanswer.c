#include "nal/httpanswer.h"

#include <string.h>

#define ETAG_MARK "etag:"
#define DATE_MARK "date:"

static const struct {
	long status;
	enum nal_class class;
	enum err_code code;
	const char *meaning;
} rows[] = {
	{ 401, NAL_CLASS_DENIED, ERR_NET_DENIED, "it wants another account" },
	{ 403, NAL_CLASS_DENIED, ERR_NET_DENIED, "it forbids that" },
	{ 404, NAL_CLASS_NOT_FOUND, ERR_NOT_FOUND, "it has no such object" },
	{ 405, NAL_CLASS_PROTOCOL, ERR_UNSUPPORTED, "it does not take that method" },
	{ 407, NAL_CLASS_DENIED, ERR_NET_DENIED, "the proxy wants an account" },
	{ 408, NAL_CLASS_TIMEOUT, ERR_NET_TIMEOUT, "it gave up waiting for us" },
	{ 409, NAL_CLASS_CONFLICT, ERR_EXISTS, "something stands in the way" },
	{ 410, NAL_CLASS_NOT_FOUND, ERR_NOT_FOUND, "it no longer has that object" },
	{ 412, NAL_CLASS_CONFLICT, ERR_EXISTS, "the object exists already" },
	{ 413, NAL_CLASS_PROTOCOL, ERR_LIMIT, "the object is too large for it" },
	{ 416, NAL_CLASS_PROTOCOL, ERR_NET_PROTOCOL, "the object is shorter than it should be" },
	{ 429, NAL_CLASS_BUSY, ERR_NET, "it has too many requests" },
	{ 501, NAL_CLASS_PROTOCOL, ERR_UNSUPPORTED, "it does not know that method" },
	{ 503, NAL_CLASS_BUSY, ERR_NET, "it is too busy" },
	{ 507, NAL_CLASS_FULL, ERR_DISK_FULL, "its disk is full" },
};

enum nal_class httpanswer_class(long status, struct err *err)
{
	if ((status >= 200 && status < 300) || status == 304)
		return NAL_CLASS_OK;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].status != status)
			continue;
		err_set(err, rows[i].code, "the server answered %ld: %s", status, rows[i].meaning);
		return rows[i].class;
	}
	if (status >= 500) {
		err_set(err, ERR_NET, "the server answered %ld: it has a fault of its own", status);
		return NAL_CLASS_UNKNOWN;
	}
	err_set(err, ERR_NET_PROTOCOL, "the server answered %ld", status);
	return NAL_CLASS_PROTOCOL;
}

/* Take a decimal number below 2^63; what follows it is left in `*text`. */
static bool take_number(uint64_t *out, const char **text)
{
	const char *at = *text;
	uint64_t value = 0;

	while (*at >= '0' && *at <= '9') {
		if (value > (INT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint64_t)(*at++ - '0');
	}
	if (at == *text)
		return false;
	*out = value;
	*text = at;
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

bool httpanswer_range(struct httpanswer_range *out, const char *text)
{
	if (strncmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	*out = (struct httpanswer_range){ .total = UINT64_MAX };
	if (!take_number(&out->first, &text) || !take_char(&text, '-') ||
	    !take_number(&out->last, &text) || !take_char(&text, '/'))
		return false;
	if (!take_char(&text, '*') && !take_number(&out->total, &text))
		return false;
	return *text == '\0' && out->first <= out->last && out->last < out->total;
}

static bool is_header_value(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return *text != '\0';
}

static bool put_token(char *out, const char *mark, const char *value)
{
	size_t front = strlen(mark), size = value != NULL ? strlen(value) : 0;

	if (size == 0 || front + size >= WAY_TOKEN_SIZE || !is_header_value(value))
		return false;
	memcpy(out, mark, front);
	memcpy(out + front, value, size + 1);
	return true;
}

void httpanswer_token(char out[WAY_TOKEN_SIZE], const char *etag, const char *last_modified)
{
	if (!put_token(out, ETAG_MARK, etag) && !put_token(out, DATE_MARK, last_modified))
		out[0] = '\0';
}

bool httpanswer_condition(char *dst, const char *token)
{
	static const struct {
		const char *mark, *header;
	} kinds[] = {
		{ ETAG_MARK, "If-None-Match: " },
		{ DATE_MARK, "If-Modified-Since: " },
	};
	size_t size = strlen(token);

	if (size >= WAY_TOKEN_SIZE || !is_header_value(token))
		return false;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		size_t front = strlen(kinds[i].mark), header = strlen(kinds[i].header);

		if (strncmp(token, kinds[i].mark, front) != 0 || size == front)
			continue;
		memcpy(dst, kinds[i].header, header);
		memcpy(dst + header, token + front, size - front + 1);
		return true;
	}
	return false;
}
