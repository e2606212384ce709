#include "nal/credentialfile.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "nal/locator.h"

#define LINE_MAX_BYTES 2048 /* of one line; a secret with every byte escaped is a quarter of it */

void credentialfile_server_release(struct credentialfile_server *s)
{
	free(s->host);
	free(s->share);
	*s = (struct credentialfile_server){ 0 };
}

void credentialfile_release(struct credentialfile *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct credentialfile_section *s = &f->sections[i];

		credentialfile_server_release(&s->server);
		secret_free(s->secret);
		free(s->user);
		free(s->set);
	}
	free(f->sections);
	*f = (struct credentialfile){ 0 };
}

/* ---- servers ---- */

static bool writes_port(const char *server)
{
	const char *bracket = strchr(server, ']');
	const char *from = bracket != NULL ? bracket : server;

	return memchr(from, ':', strcspn(from, "/")) != NULL;
}

/* What is written in all of those ways, as "host:port/share". The caller frees it. */
static char *plain_server(const char *text)
{
	char *plain;

	if (strncmp(text, "smb://", 6) == 0)
		text += 6;
	else if (strncmp(text, "\\\\", 2) == 0 || strncmp(text, "//", 2) == 0)
		text += 2;
	plain = alloc_text(text);
	for (char *p = strchr(plain, '\\'); p != NULL; p = strchr(p, '\\'))
		*p = '/';
	return plain;
}

bool credentialfile_server_parse(struct credentialfile_server *out, const char *text,
				 struct err *err)
{
	SCOPED_TEXT char *plain = plain_server(text);
	size_t host = strcspn(plain, "/");
	bool has_share = plain[host] == '/' && plain[host + 1] != '\0';
	SCOPED_TEXT char *url = alloc_printf("smb://%.*s%s", (int)host, plain,
					     has_share ? plain + host : "/any");
	SCOPED(locator) struct locator where = { 0 };
	struct err why;

	*out = (struct credentialfile_server){ 0 };
	if (strlen(text) > LOCATOR_TEXT_MAX || !locator_parse(&where, url, &why) ||
	    strcmp(where.path, "/") != 0)
		return err_set(err, ERR_CONFIG, "\"%.64s\" is no server", text) ||
		       err_fix(err, "write it as nas, nas:1445, nas/share or 192.0.2.7/share");
	out->host = alloc_text(where.host);
	out->port = writes_port(plain) ? where.port : 0;
	out->share = alloc_text(has_share ? where.share : "");
	return true;
}

char *credentialfile_server_text(const struct credentialfile_server *s)
{
	SCOPED(buf) struct buf text = { 0 };

	buf_printf(&text, strchr(s->host, ':') != NULL ? "[%s]" : "%s", s->host);
	if (s->port != 0)
		buf_printf(&text, ":%u", s->port);
	if (s->share[0] != '\0') {
		buf_put_u8(&text, '/');
		locator_encode(&text, s->share);
	}
	return buf_take(&text);
}

bool credentialfile_server_equal(const struct credentialfile_server *a,
				 const struct credentialfile_server *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0 &&
	       text_equal_nocase(a->share, b->share);
}

bool credentialfile_user_check(const char *user, struct err *err)
{
	size_t size = strlen(user), domain = strcspn(user, "\\");

	for (size_t i = 0; i < size; i++)
		if ((unsigned char)user[i] < 0x20 || user[i] == 0x7f)
			return err_set(err, ERR_CONFIG, "the user holds a control character");
	if (size > 0 && size <= CREDENTIALFILE_USER_MAX && user[0] != ' ' && user[0] != '"' &&
	    user[size - 1] != ' ' && domain != 0 && (domain == size || domain + 1 < size) &&
	    text_is_utf8(span_of_text(user)))
		return true;
	return err_set(err, ERR_CONFIG, "that is no user's name") ||
	       err_fix(err, "write it as user, DOMAIN\\user or user@REALM");
}

/* ---- reading ---- */

struct reading {
	struct credentialfile *file;
	struct credentialfile_section *now; /* NULL: no section was begun */
	char *label;                        /* of that section */
	bool has_server, has_kerberos, has_guest;
	unsigned int line;
	struct err *err;
};

static bool blame(const struct reading *r, unsigned int line, const char *why)
{
	return err_set(r->err, ERR_CONFIG, "line %u: %s", line, why);
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct span trim(struct span s)
{
	while (s.size > 0 && is_blank(s.data[0]))
		s = span_skip(s, 1);
	while (s.size > 0 && is_blank(s.data[s.size - 1]))
		s.size--;
	return s;
}

/* What a section has to say, and what it must not say twice or together. */
static bool end_section(struct reading *r)
{
	struct credentialfile_section *s = r->now;
	struct err ignored;

	if (s == NULL)
		return true;
	r->now = NULL;
	if (!r->has_server && !credentialfile_server_parse(&s->server, r->label, &ignored))
		return blame(r, s->line,
			     "neither the section's name nor a line \"server = …\" "
			     "names a server");
	s->kind = r->has_kerberos ? CREDENTIALFILE_TICKET
		  : r->has_guest  ? CREDENTIALFILE_GUEST
				  : CREDENTIALFILE_ACCOUNT;
	if (s->kind == CREDENTIALFILE_ACCOUNT && s->user != NULL && s->secret != NULL)
		return true;
	if (s->kind != CREDENTIALFILE_ACCOUNT && s->user == NULL && s->secret == NULL &&
	    !(r->has_kerberos && r->has_guest))
		return true;
	return blame(r, s->line,
		     "the section needs user and secret, or kerberos = yes, or guest = yes");
}

static bool begin_section(struct reading *r, struct span line)
{
	if (!end_section(r))
		return false;
	if (line.size < 3 || line.data[line.size - 1] != ']')
		return blame(r, r->line, "expected [server]");
	if (r->file->count >= CREDENTIALFILE_SECTIONS_MAX)
		return err_set(r->err, ERR_LIMIT, "line %u: more than %d sections", r->line,
			       CREDENTIALFILE_SECTIONS_MAX);
	ALLOC_GROW(r->file->sections, r->file->count);
	r->now = &r->file->sections[r->file->count++];
	*r->now = (struct credentialfile_section){ .line = r->line };
	r->has_server = r->has_kerberos = r->has_guest = false;
	free(r->label);
	r->label = alloc_copy(line.data + 1, line.size - 2);
	return true;
}

static bool take_server(struct reading *r, struct span value)
{
	SCOPED_TEXT char *text = alloc_copy(value.data, value.size);
	struct err ignored;

	if (r->has_server)
		return blame(r, r->line, "a second server in one section");
	r->has_server = true;
	return credentialfile_server_parse(&r->now->server, text, &ignored) ||
	       blame(r, r->line, "this is no server");
}

static bool take_user(struct reading *r, struct span value)
{
	struct err ignored;

	if (r->now->user != NULL)
		return blame(r, r->line, "a second user in one section");
	r->now->user = alloc_copy(value.data, value.size);
	return credentialfile_user_check(r->now->user, &ignored) ||
	       blame(r, r->line, "this is no user's name");
}

/* The bytes between quotes, where \" and \\ stand for the second of them. */
static bool unquote(struct span *text, uint8_t *dst)
{
	struct span in = *text;
	size_t size = 0;

	in.size--;
	in = span_skip(in, 1);
	while (in.size > 0) {
		if (in.data[0] == '"' || (in.data[0] == '\\' && in.size == 1))
			return false;
		if (in.data[0] == '\\')
			in = span_skip(in, 1);
		dst[size++] = in.data[0];
		in = span_skip(in, 1);
	}
	*text = span_of(dst, size);
	return true;
}

static void bytes_scoped(uint8_t **bytes)
{
	secret_memory_free(*bytes);
}

static bool take_secret(struct reading *r, struct span value)
{
	SCOPED(bytes) uint8_t *plain = secret_memory_new(LINE_MAX_BYTES);
	struct err why;

	if (r->now->secret != NULL)
		return blame(r, r->line, "a second secret in one section");
	if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"' &&
	    !unquote(&value, plain))
		return blame(r, r->line,
			     "inside quotes, write \\\" for a quote and \\\\ for a backslash");
	r->now->secret = secret_new();
	return secret_set(r->now->secret, value, &why) || blame(r, r->line, why.why);
}

static bool take_yes(bool *out, struct reading *r, struct span value)
{
	static const char *const words[][2] = {
		{ "yes", "no" }, { "true", "false" }, { "on", "off" }, { "1", "0" }
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		for (size_t no = 0; no < 2; no++)
			if (span_equal_text(value, words[i][no])) {
				*out = no == 0;
				return true;
			}
	return blame(r, r->line, "expected yes or no");
}

static bool take_kerberos(struct reading *r, struct span value)
{
	return take_yes(&r->has_kerberos, r, value);
}

static bool take_guest(struct reading *r, struct span value)
{
	return take_yes(&r->has_guest, r, value);
}

static bool take_set(struct reading *r, struct span value)
{
	free(r->now->set);
	r->now->set = alloc_copy(value.data, value.size);
	return true;
}

static const struct {
	const char *name;
	bool (*take)(struct reading *r, struct span value);
} keys[] = {
	{ "server", take_server },     { "user", take_user },   { "secret", take_secret },
	{ "kerberos", take_kerberos }, { "guest", take_guest }, { "set", take_set },
};

static bool take_pair(struct reading *r, struct span line)
{
	struct span name;

	if (r->now == NULL)
		return blame(r, r->line, "a section begins with [server]");
	if (!span_take_until(&line, &name, '=', line.size))
		return blame(r, r->line, "expected \"key = value\"");
	name = trim(name);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (span_equal_text(name, keys[i].name))
			return keys[i].take(r, trim(line));
	return blame(r, r->line, "known are server, user, secret, kerberos and guest");
}

static bool take_line(struct reading *r, struct span line)
{
	if (line.size > LINE_MAX_BYTES)
		return blame(r, r->line, "the line is too long");
	line = trim(line);
	if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
		return true;
	return line.data[0] == '[' ? begin_section(r, line) : take_pair(r, line);
}

static bool parse_lines(struct reading *r, struct span rest)
{
	struct span line;

	while (span_take_line(&rest, &line)) {
		r->line++;
		if (!take_line(r, line))
			return false;
	}
	return end_section(r);
}

bool credentialfile_parse(struct credentialfile *out, struct span bytes, struct err *err)
{
	struct reading r = { .file = out, .err = err };
	bool parsed;

	*out = (struct credentialfile){ 0 };
	if (bytes.size > CREDENTIALFILE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", CREDENTIALFILE_BYTES_MAX);
	if (bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL)
		return err_set(err, ERR_CONFIG, "a NUL byte stands in it");
	parsed = parse_lines(&r, bytes);
	free(r.label);
	return parsed;
}

/* ---- writing ---- */

static void put(char *dst, size_t *size, const char *text)
{
	size_t length = strlen(text);

	assert(*size + length < CREDENTIALFILE_PRINT_MAX);
	memcpy(dst + *size, text, length + 1);
	*size += length;
}

static void put_line(char *dst, size_t *size, const char *key, const char *value)
{
	put(dst, size, key);
	put(dst, size, " = ");
	put(dst, size, value);
	put(dst, size, "\n");
}

/* Always in quotes: so blanks at its ends, and quotes, are what they are. */
static void put_secret(char *dst, size_t *size, const struct secret *s)
{
	put(dst, size, "secret = \"");
	for (const char *p = s->text; *p != '\0'; p++) {
		char byte[3] = { *p, '\0' };

		if (*p == '"' || *p == '\\')
			memcpy(byte, (const char[]){ '\\', *p }, 2);
		put(dst, size, byte);
		explicit_bzero(byte, sizeof(byte));
	}
	put(dst, size, "\"\n");
}

size_t credentialfile_print(char *dst, const struct credentialfile_section *s)
{
	SCOPED_TEXT char *server = credentialfile_server_text(&s->server);
	size_t size = 0;

	/* Not as the section's name: brackets of an IPv6 address are harder to read there. */
	put(dst, &size, "[server]\n");
	put_line(dst, &size, "server", server);
	if (s->kind == CREDENTIALFILE_TICKET)
		put_line(dst, &size, "kerberos", "yes");
	else if (s->kind == CREDENTIALFILE_GUEST)
		put_line(dst, &size, "guest", "yes");
	else
		put_line(dst, &size, "user", s->user);
	if (s->kind == CREDENTIALFILE_ACCOUNT)
		put_secret(dst, &size, s->secret);
	if (s->set != NULL)
		put_line(dst, &size, "set", s->set);
	return size;
}
