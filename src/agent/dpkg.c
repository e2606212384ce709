#include "agent/dpkg.h"

#include <stddef.h>

#include "common/text.h"

#define INSTALLED " installed" /* the third word of Status; the first two are wish and error */

struct paragraph {
	struct span name, version, arch, status;
};

static const struct {
	const char *field;
	size_t offset;
} fields[] = {
	{ "Package:", offsetof(struct paragraph, name) },
	{ "Version:", offsetof(struct paragraph, version) },
	{ "Architecture:", offsetof(struct paragraph, arch) },
	{ "Status:", offsetof(struct paragraph, status) },
};

static bool starts_with(struct span s, const char *text)
{
	size_t size = strlen(text);

	return s.size >= size && memcmp(s.data, text, size) == 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trimmed(struct span s)
{
	while (s.size > 0 && is_blank(s.data[0]))
		s = span_skip(s, 1);
	while (s.size > 0 && is_blank(s.data[s.size - 1]))
		s.size--;
	return s;
}

static void take_field(struct paragraph *p, struct span line)
{
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		if (!starts_with(line, fields[i].field))
			continue;
		*(struct span *)((char *)p + fields[i].offset) = trimmed(
			span_skip(line, strlen(fields[i].field)));
		return;
	}
}

static bool ends_with(struct span s, const char *text)
{
	size_t size = strlen(text);

	return s.size >= size && memcmp(s.data + s.size - size, text, size) == 0;
}

static bool copy_text(char *dst, struct span s)
{
	if (s.size >= DPKG_TEXT_MAX || !text_is_utf8(s) ||
	    (s.size > 0 && memchr(s.data, '\0', s.size) != NULL))
		return false;
	if (s.size > 0)
		memcpy(dst, s.data, s.size);
	dst[s.size] = '\0';
	return true;
}

static bool take_package(struct dpkg_package *out, const struct paragraph *p)
{
	return p->name.size > 0 && p->version.size > 0 && ends_with(p->status, INSTALLED) &&
	       copy_text(out->name, p->name) && copy_text(out->version, p->version) &&
	       copy_text(out->arch, p->arch);
}

bool dpkg_next(struct span *rest, struct dpkg_package *out)
{
	struct paragraph p = { 0 };
	struct span line;

	while (span_take_line(rest, &line)) {
		if (trimmed(line).size > 0) {
			take_field(&p, line);
			continue;
		}
		if (take_package(out, &p))
			return true;
		p = (struct paragraph){ 0 };
	}
	return take_package(out, &p);
}
