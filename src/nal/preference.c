#include "nal/preference.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/jsondoc.h"
#include "common/text.h"
#include "nal/nalpath.h"
#include "nal/terms.h"

void preference_entry_release(struct preference_entry *entry)
{
	free(entry->text);
	free(entry->server);
	locator_release(&entry->where);
	*entry = (struct preference_entry){ 0 };
}

void preference_clear(struct preference *p, enum kind kind)
{
	struct preference_list *list = &p->lists[kind];

	for (size_t i = 0; i < list->count; i++)
		preference_entry_release(&list->entries[i]);
	free(list->entries);
	*list = (struct preference_list){ 0 };
}

void preference_release(struct preference *p)
{
	for (size_t i = 0; i < KIND_COUNT_; i++)
		preference_clear(p, (enum kind)i);
	free(p->policy);
	p->policy = NULL;
}

static bool is_nal_path(const char *text)
{
	return text[0] == '[' || text[0] == '\\' || strstr(text, ":\\") != NULL ||
	       strstr(text, ":[") != NULL;
}

/* A server alone: SMS's lists hold "\\NAS", people write "nas" or an address. */
static bool is_server_name(const char *text)
{
	SCOPED(locator) struct locator probe = { 0 };
	SCOPED(buf) struct buf url = { 0 };
	struct err ignored;

	/* Said for gcc: with -fsanitize it takes the strchr below for a test for NULL. */
	assert(text != NULL);
	if (text_is_name(text))
		return true;
	if (strpbrk(text, "/[]") != NULL)
		return false;
	buf_put_text(&url, strchr(text, ':') != NULL ? "http://[" : "http://");
	buf_put_text(&url, text);
	if (strchr(text, ':') != NULL)
		buf_put_u8(&url, ']');
	return locator_parse(&probe, buf_text(&url), &ignored);
}

/* "\\\\S" and "\\\\S\\" as "S"; NULL where more follows. The caller frees it. */
static char *server_of_unc(const char *path)
{
	size_t size = strncmp(path, "\\\\", 2) == 0 ? strcspn(path + 2, "\\") : 0;
	SCOPED_TEXT char *server = size > 0 ? alloc_copy(path + 2, size) : NULL;
	char *found = server;

	if (server == NULL || strlen(path + 2 + size) > 1 || !is_server_name(server))
		return NULL;
	server = NULL;
	return found;
}

static bool parse_nal_path(struct preference_entry *out, const char *text, struct err *err)
{
	SCOPED(nalpath) struct nalpath path = { 0 };

	if (!nalpath_parse(&path, text, err))
		return false;
	out->is_nal = true;
	if (path.provider == NALPATH_MSWNET || path.provider == NALPATH_GENERIC)
		out->server = server_of_unc(path.path);
	out->is_locator = out->server == NULL;
	return out->server != NULL || nalpath_locator(&out->where, &path, err);
}

static bool parse_into(struct preference_entry *out, const char *text, struct err *err)
{
	size_t slashes = strspn(text, "\\");

	if (strlen(text) > LOCATOR_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "preference: longer than %d bytes",
			       LOCATOR_TEXT_MAX);
	if (slashes == 2 && is_server_name(text + slashes)) {
		out->text = alloc_text(text + slashes);
		out->server = alloc_text(text + slashes);
		return true;
	}
	if (is_nal_path(text)) {
		if (!parse_nal_path(out, text, err))
			return false;
	} else if (text[0] == '/' || strstr(text, "://") != NULL) {
		out->is_locator = true;
		if (!locator_parse_argument(&out->where, text, err))
			return false;
	} else if (!is_server_name(text)) {
		return err_set(err, ERR_FORMAT, "preference: '%.64s' is no name or locator",
			       text) ||
		       err_fix(err,
			       "use a system's name, a host, or a locator such as smb://nas/share");
	} else {
		out->server = alloc_text(text);
	}
	out->text = alloc_text(text);
	return true;
}

bool preference_entry_parse(struct preference_entry *out, const char *text, struct err *err)
{
	bool parsed;

	*out = (struct preference_entry){ 0 };
	parsed = parse_into(out, text, err);
	if (!parsed)
		preference_entry_release(out);
	return parsed;
}

static size_t entry_find(const struct preference_list *list, const char *text)
{
	size_t i = 0;

	while (i < list->count && !text_equal_nocase(list->entries[i].text, text))
		i++;
	return i;
}

bool preference_add(struct preference *p, enum kind kind, const char *text, struct err *err)
{
	struct preference_list *list = &p->lists[kind];
	struct preference_entry entry;

	if (!preference_entry_parse(&entry, text, err))
		return false;
	if (entry_find(list, entry.text) < list->count) {
		preference_entry_release(&entry);
		return true;
	}
	if (list->count >= PREFERENCE_ENTRIES_MAX) {
		preference_entry_release(&entry);
		return err_set(err, ERR_LIMIT, "preferences: at most %d for one kind",
			       PREFERENCE_ENTRIES_MAX);
	}
	ALLOC_GROW(list->entries, list->count);
	list->entries[list->count++] = entry;
	return true;
}

bool preference_remove(struct preference *p, enum kind kind, const char *text)
{
	struct preference_list *list = &p->lists[kind];
	size_t at = entry_find(list, text);

	if (at == list->count && strncmp(text, "\\\\", 2) == 0)
		at = entry_find(list, text + 2);
	if (at == list->count)
		return false;
	preference_entry_release(&list->entries[at]);
	memmove(&list->entries[at], &list->entries[at + 1],
		(list->count - at - 1) * sizeof(*list->entries));
	list->count--;
	return true;
}

bool preference_set_policy(struct preference *p, const char *policy, struct err *err)
{
	const struct terms_policy *known;

	if (policy != NULL && !terms_need(&known, policy, err))
		return false;
	free(p->policy);
	p->policy = alloc_text(policy);
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Unlike locator_covers, case never counts: people type what they see in an explorer. */
static bool path_is_prefix(const char *front, const char *whole)
{
	if (strcmp(front, "/") == 0)
		return true;
	while (*front != '\0')
		if (lower(*front++) != lower(*whole++))
			return false;
	return *whole == '\0' || *whole == '/';
}

static bool address_matches(const struct preference_entry *entry, const struct locator *address)
{
	const struct locator *where = &entry->where;

	if (!entry->is_locator)
		return text_equal_nocase(entry->server, address->host);
	if (!entry->is_nal)
		return locator_same_share(where, address) &&
		       path_is_prefix(where->path, address->path);
	/* A NAL path cannot say a port. */
	return where->scheme == address->scheme && strcmp(where->host, address->host) == 0 &&
	       text_equal_nocase(where->share, address->share) &&
	       (path_is_prefix(where->path, address->path) ||
		path_is_prefix(address->path, where->path));
}

bool preference_matches(const struct preference_entry *entry, const char *name,
			const struct locator *const *addresses, size_t address_count)
{
	if (!entry->is_locator && text_equal_nocase(entry->server, name))
		return true;
	for (size_t i = 0; i < address_count; i++)
		if (address_matches(entry, addresses[i]))
			return true;
	return false;
}

static bool list_read(struct preference *out, enum kind kind, const json_t *doc, struct err *err)
{
	json_t *list, *item;
	size_t i;

	if (!jsondoc_need_array(&list, doc, kind_name(kind), PREFERENCE_ENTRIES_MAX, err))
		return false;
	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);

		if (text == NULL)
			return err_set(err, ERR_FORMAT, "preferences: an entry is no text");
		if (!preference_add(out, kind, text, err))
			return false;
	}
	return true;
}

bool preference_read(struct preference *out, struct span bytes, struct err *err)
{
	json_auto_t *doc = NULL;
	int64_t format;
	bool fine;

	*out = (struct preference){ 0 };
	if (bytes.size > PREFERENCE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "preferences: %zu bytes, at most %zu are read",
			       bytes.size, PREFERENCE_BYTES_MAX);
	if (!jsondoc_read(&doc, bytes, err) || !jsondoc_need_int(&format, doc, "format", 1, 1, err))
		return false;
	fine = list_read(out, KIND_CAP, doc, err) && list_read(out, KIND_DP, doc, err) &&
	       preference_set_policy(out, jsondoc_text(doc, "policy"), err);
	if (!fine)
		preference_release(out);
	return fine;
}

void preference_write(struct buf *out, const struct preference *p)
{
	json_auto_t *doc = json_object();

	jsondoc_set_int(doc, "format", 1);
	for (size_t k = 0; k < KIND_COUNT_; k++) {
		json_t *list = json_array();

		for (size_t i = 0; i < p->lists[k].count; i++)
			json_array_append_new(list, jsondoc_new_text(p->lists[k].entries[i].text));
		jsondoc_set(doc, kind_name((enum kind)k), list);
	}
	jsondoc_set_text(doc, "policy", p->policy);
	jsondoc_write(out, doc);
	buf_put_u8(out, '\n');
}
