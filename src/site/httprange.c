#include "site/httprange.h"

#include <string.h>

#include "common/span.h"
#include "common/text.h"

/* A decimal number from the front; false if there is none or it is past what a file can be. */
static bool take_number(const char **p, uint64_t *out)
{
	char digits[20];
	size_t length = strspn(*p, "0123456789");

	if (length == 0 || length >= sizeof(digits))
		return false;
	memcpy(digits, *p, length);
	digits[length] = '\0';
	*p += length;
	return text_u64(out, digits, 0, INT64_MAX);
}

static enum httprange_result suffix(uint64_t *first_out, uint64_t *size_out, const char *p,
				    uint64_t total)
{
	uint64_t last;

	if (!take_number(&p, &last) || *p != '\0')
		return HTTPRANGE_WHOLE;
	if (last == 0 || total == 0)
		return HTTPRANGE_UNSATISFIABLE;
	*size_out = MIN_OF(last, total);
	*first_out = total - *size_out;
	return HTTPRANGE_PART;
}

enum httprange_result httprange_parse(uint64_t *first_out, uint64_t *size_out, const char *header,
				      uint64_t total)
{
	static const char unit[] = "bytes=";
	uint64_t first, last = UINT64_MAX;
	const char *p;

	if (header == NULL || strncmp(header, unit, strlen(unit)) != 0)
		return HTTPRANGE_WHOLE;
	p = header + strlen(unit);
	if (*p == '-')
		return suffix(first_out, size_out, p + 1, total);
	if (!take_number(&p, &first) || *p++ != '-')
		return HTTPRANGE_WHOLE;
	if (*p != '\0' && (!take_number(&p, &last) || *p != '\0' || last < first))
		return HTTPRANGE_WHOLE;
	if (first >= total)
		return HTTPRANGE_UNSATISFIABLE;
	*first_out = first;
	*size_out = MIN_OF(last, total - 1) - first + 1;
	return HTTPRANGE_PART;
}

bool httprange_etag_matches(const char *list, const char *etag)
{
	size_t length = strlen(etag);

	for (const char *p = list; p != NULL && *p != '\0'; p = strchr(p, ',')) {
		p += strspn(p, ", \t");
		if (*p == '*')
			return true;
		if (strncmp(p, "W/", 2) == 0)
			p += 2;
		if (strncmp(p, etag, length) == 0)
			return true;
	}
	return false;
}
