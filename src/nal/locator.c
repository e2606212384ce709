#include "nal/locator.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/netaddr.h"
#include "common/text.h"

enum {
	COMPONENT_MAX = 255,
};

static const struct {
	const char *name;
	uint16_t port;
	bool ignores_case;
} schemes[] = {
	[LOCATOR_FILE] = { "file", 0, false },     [LOCATOR_HTTP] = { "http", 80, false },
	[LOCATOR_HTTPS] = { "https", 443, false }, [LOCATOR_SMB] = { "smb", 445, true },
	[LOCATOR_NFS] = { "nfs", 2049, false },
};
static_assert(COUNT_OF(schemes) == LOCATOR_SCHEME_COUNT_, "every scheme has a row");

const char *locator_scheme_name(enum locator_scheme scheme)
{
	assert(scheme < LOCATOR_SCHEME_COUNT_);
	return schemes[scheme].name;
}

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool scheme_find(enum locator_scheme *out, struct span name)
{
	SCOPED_TEXT char *text = alloc_copy(name.data, name.size);

	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (text_equal_nocase(text, schemes[i].name)) {
			*out = (enum locator_scheme)i;
			return true;
		}
	}
	return false;
}

/* A name of the DNS or NetBIOS kind; underscores occur in the latter. */
static bool is_host_name(struct span host)
{
	if (host.size < 1 || host.size > LOCATOR_HOST_MAX || !is_alnum(host.data[0]))
		return false;
	for (size_t i = 0; i < host.size; i++)
		if (!is_alnum(host.data[i]) && strchr("-_.", host.data[i]) == NULL)
			return false;
	return true;
}

static char *lower_copy(struct span s)
{
	char *text = alloc_copy(s.data, s.size);

	for (char *p = text; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return text;
}

/* IPv6 addresses have many spellings: the one of RFC 5952 is kept. */
static bool take_bracketed(struct locator *loc, struct span *authority, struct err *err)
{
	char plain[NETADDR_TEXT_MAX] = "";
	struct netaddr address;
	struct span inside;

	*authority = span_skip(*authority, 1);
	if (!span_take_until(authority, &inside, ']', sizeof(plain) - 1))
		return err_set(err, ERR_FORMAT, "locator: '[' without ']'");
	memcpy(plain, inside.data, inside.size);
	plain[inside.size] = '\0';
	if (!netaddr_parse(&address, plain))
		return err_set(err, ERR_FORMAT, "locator: '%s' is no IPv6 address", plain);
	netaddr_print(plain, &address);
	loc->host = alloc_text(plain);
	return true;
}

static bool take_port(struct locator *loc, struct span digits, struct err *err)
{
	SCOPED_TEXT char *text = alloc_copy(digits.data, digits.size);
	uint64_t port;

	if (!text_u64(&port, text, 1, UINT16_MAX))
		return err_set(err, ERR_FORMAT, "locator: '%s' is no port", text);
	loc->port = (uint16_t)port;
	return true;
}

static bool parse_authority(struct locator *loc, struct span authority, struct err *err)
{
	const uint8_t *colon;

	/* The secret must not reach a log through the fault's text. */
	if (authority.size > 0 && memchr(authority.data, '@', authority.size) != NULL)
		return err_set(err, ERR_REFUSED, "locator: credentials stand in the URL") ||
		       err_fix(err, "take it out and use: packway credential set SERVER --user U");
	if (loc->scheme == LOCATOR_FILE) {
		if (authority.size > 0 && !span_equal_text(authority, "localhost"))
			return err_set(err, ERR_FORMAT, "locator: file:// takes no host") ||
			       err_fix(err, "write file:///path with three slashes");
		loc->host = alloc_text("");
		return true;
	}
	if (authority.size > 0 && authority.data[0] == '[') {
		if (!take_bracketed(loc, &authority, err))
			return false;
		if (authority.size == 0)
			return true;
		if (authority.data[0] != ':')
			return err_set(err, ERR_FORMAT, "locator: stray bytes behind ']'");
		return take_port(loc, span_skip(authority, 1), err);
	}
	colon = authority.size > 0 ? memchr(authority.data, ':', authority.size) : NULL;
	if (colon != NULL) {
		size_t at = (size_t)(colon - authority.data);

		if (!take_port(loc, span_skip(authority, at + 1), err))
			return false;
		authority.size = at;
	}
	if (!is_host_name(authority))
		return err_set(err, ERR_FORMAT, "locator: the host is missing or no host name");
	loc->host = lower_copy(authority);
	return true;
}

/* One decoded component: nothing that moves elsewhere, or that a server may read as a separator. */
static bool component_is_fine(struct span c, enum locator_scheme scheme)
{
	if (c.size == 0 || c.size > COMPONENT_MAX || span_equal_text(c, ".") ||
	    span_equal_text(c, ".."))
		return false;
	for (size_t i = 0; i < c.size; i++) {
		if (c.data[i] < 0x20 || c.data[i] == 0x7f || c.data[i] == '/')
			return false;
		if (c.data[i] == '\\' && scheme != LOCATOR_FILE)
			return false;
	}
	return true;
}

/* The component up to the next slash; false at the end of the path. */
static bool take_component(struct span *path, struct span *out)
{
	if (path->size == 0)
		return false;
	if (span_take_until(path, out, '/', path->size))
		return true;
	*out = *path;
	*path = span_skip(*path, path->size);
	return true;
}

/* Local paths are written with doubled slashes by many a script, and mean the same. */
static bool may_skip(const struct locator *loc, struct span raw, struct span rest)
{
	return raw.size == 0 && (rest.size == 0 || loc->scheme == LOCATOR_FILE);
}

enum path_form {
	PATH_ENCODED,
	PATH_PLAIN,
};

static bool decode_component(char **out, struct span raw, enum path_form form)
{
	if (form == PATH_ENCODED)
		return locator_decode(out, raw);
	*out = alloc_copy(raw.data, raw.size);
	return true;
}

static bool parse_path(struct locator *loc, struct span path, enum path_form form, struct err *err)
{
	SCOPED(buf) struct buf decoded = { 0 };
	struct span raw;

	if (path.size > 0)
		path = span_skip(path, 1); /* the slash that begins it */
	while (take_component(&path, &raw)) {
		SCOPED_TEXT char *component = NULL;

		if (may_skip(loc, raw, path))
			continue;
		if (!decode_component(&component, raw, form) ||
		    !component_is_fine(span_of_text(component), loc->scheme))
			return err_set(err, ERR_FORMAT,
				       "locator: the path component '%.*s' is not allowed",
				       (int)MIN_OF(raw.size, (size_t)64), (const char *)raw.data);
		if (loc->scheme == LOCATOR_SMB && loc->share == NULL) {
			loc->share = alloc_text(component);
			continue;
		}
		buf_put_u8(&decoded, '/');
		buf_put_text(&decoded, component);
	}
	if (loc->scheme == LOCATOR_SMB && loc->share == NULL)
		return err_set(err, ERR_FORMAT, "locator: smb:// needs a share") ||
		       err_fix(err, "write smb://host/share or smb://host/share/path");
	if (loc->share == NULL)
		loc->share = alloc_text("");
	loc->path = decoded.size > 0 ? buf_take(&decoded) : alloc_text("/");
	return true;
}

static bool parse_url(struct locator *loc, const char *text, struct err *err)
{
	const char *colon = strstr(text, "://");
	struct span scheme, rest;
	size_t authority;

	if (colon == NULL)
		return err_set(err, ERR_FORMAT, "locator: no scheme such as smb:// or http://");
	scheme = span_of(text, (size_t)(colon - text));
	rest = span_of_text(colon + 3);
	authority = strcspn(colon + 3, "/?#");
	if (memchr(rest.data, '@', authority) != NULL)
		return parse_authority(loc, span_of(rest.data, authority), err);
	if (!scheme_find(&loc->scheme, scheme))
		return err_set(err, ERR_UNSUPPORTED, "locator: '%.*s' is no scheme we know",
			       (int)MIN_OF(scheme.size, (size_t)32), text) ||
		       err_fix(err, "use smb://, http://, https:// or file://");
	if (strpbrk(colon + 3, "?#") != NULL)
		return err_set(err, ERR_FORMAT, "locator: queries and fragments are not allowed") ||
		       err_fix(err, "write ? as %%3F and # as %%23 in a path");
	loc->port = schemes[loc->scheme].port;
	return parse_authority(loc, span_of(rest.data, authority), err) &&
	       parse_path(loc, span_skip(rest, authority), PATH_ENCODED, err);
}

static bool size_is_fine(const char *text, struct err *err)
{
	size_t size = strlen(text);

	return size <= LOCATOR_TEXT_MAX ||
	       err_set(err, ERR_LIMIT, "locator: %zu bytes, at most %d are read", size,
		       LOCATOR_TEXT_MAX);
}

static bool keep_or_release(struct locator *loc, const char *text, bool parsed)
{
	if (parsed)
		loc->text = alloc_text(text);
	else
		locator_release(loc);
	return parsed;
}

bool locator_parse(struct locator *out, const char *text, struct err *err)
{
	*out = (struct locator){ 0 };
	return size_is_fine(text, err) && keep_or_release(out, text, parse_url(out, text, err));
}

bool locator_parse_argument(struct locator *out, const char *text, struct err *err)
{
	if (text[0] != '/')
		return locator_parse(out, text, err);
	*out = (struct locator){ .scheme = LOCATOR_FILE, .host = alloc_text("") };
	return keep_or_release(out, text,
			       size_is_fine(text, err) &&
				       parse_path(out, span_of_text(text), PATH_PLAIN, err));
}

void locator_release(struct locator *loc)
{
	free(loc->text);
	free(loc->host);
	free(loc->share);
	free(loc->path);
	*loc = (struct locator){ 0 };
}

void locator_copy(struct locator *out, const struct locator *loc)
{
	*out = (struct locator){
		.scheme = loc->scheme,
		.port = loc->port,
		.text = alloc_text(loc->text),
		.host = alloc_text(loc->host),
		.share = alloc_text(loc->share),
		.path = alloc_text(loc->path),
	};
}

void locator_encode(struct buf *out, const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p != '\0'; p++) {
		if (is_alnum(*p) || strchr("-._~/", *p) != NULL)
			buf_put_u8(out, *p);
		else
			buf_printf(out, "%%%02X", *p);
	}
}

bool locator_decode(char **out, struct span text)
{
	SCOPED(buf) struct buf plain = { 0 };

	while (text.size > 0) {
		uint8_t byte = text.data[0];

		if (byte == '%') {
			char hex[3];

			if (text.size < 3)
				return false;
			memcpy(hex, text.data + 1, 2);
			hex[2] = '\0';
			if (!text_unhex(&byte, 1, hex) || byte == 0)
				return false;
			text = span_skip(text, 2);
		}
		buf_put_u8(&plain, byte);
		text = span_skip(text, 1);
	}
	*out = plain.size > 0 ? buf_take(&plain) : alloc_text("");
	return true;
}

static void put_url(struct buf *out, const struct locator *loc)
{
	bool is_v6 = strchr(loc->host, ':') != NULL;

	buf_printf(out, is_v6 ? "%s://[%s]" : "%s://%s", schemes[loc->scheme].name, loc->host);
	if (loc->port != schemes[loc->scheme].port)
		buf_printf(out, ":%u", loc->port);
	if (loc->share[0] != '\0') {
		buf_put_u8(out, '/');
		locator_encode(out, loc->share);
	}
	if (strcmp(loc->path, "/") != 0)
		locator_encode(out, loc->path);
	else if (loc->scheme == LOCATOR_FILE)
		buf_put_u8(out, '/');
}

char *locator_url(const struct locator *loc)
{
	SCOPED(buf) struct buf url = { 0 };

	put_url(&url, loc);
	return buf_take(&url);
}

bool locator_join(char **out, const struct locator *loc, const char *relative, struct err *err)
{
	SCOPED(buf) struct buf url = { 0 };
	struct span rest = span_of_text(relative), component;
	size_t size = rest.size;

	while (take_component(&rest, &component))
		if (!component_is_fine(component, loc->scheme))
			return err_set(err, ERR_FORMAT, "'%s' is no relative path", relative);
	if (size == 0 || relative[size - 1] == '/')
		return err_set(err, ERR_FORMAT, "'%s' is no relative path", relative);
	put_url(&url, loc);
	if (url.data[url.size - 1] != '/')
		buf_put_u8(&url, '/');
	locator_encode(&url, relative);
	*out = buf_take(&url);
	return true;
}

bool locator_same_host(const struct locator *a, const struct locator *b)
{
	return a->host[0] != '\0' && strcmp(a->host, b->host) == 0;
}

bool locator_same_server(const struct locator *a, const struct locator *b)
{
	return a->scheme == b->scheme && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool locator_same_share(const struct locator *a, const struct locator *b)
{
	return locator_same_server(a, b) && text_equal_nocase(a->share, b->share);
}

static uint8_t folded(char c, bool ignores_case)
{
	if (ignores_case && c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A' + 'a');
	return (uint8_t)c;
}

bool locator_covers(const struct locator *outer, const struct locator *inner)
{
	bool ignores_case = schemes[outer->scheme].ignores_case;
	const char *front = outer->path, *whole = inner->path;

	if (!locator_same_share(outer, inner))
		return false;
	if (strcmp(front, "/") == 0)
		return true;
	while (*front != '\0') {
		if (folded(*front++, ignores_case) != folded(*whole++, ignores_case))
			return false;
	}
	return *whole == '\0' || *whole == '/';
}

bool locator_equal(const struct locator *a, const struct locator *b)
{
	return strlen(a->path) == strlen(b->path) && locator_covers(a, b);
}

const char *locator_below(const struct locator *outer, const struct locator *inner)
{
	assert(locator_covers(outer, inner)); /* the caller asked before */
	if (strcmp(outer->path, "/") == 0)
		return strcmp(inner->path, "/") == 0 ? "" : inner->path;
	return inner->path + strlen(outer->path);
}
