#include "nal/mountmatch.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/netaddr.h"
#include "common/text.h"

static bool starts_with(const char *text, const char *front)
{
	return strncmp(text, front, strlen(front)) == 0;
}

static bool is_fuse(const struct mounts_entry *mount)
{
	return strcmp(mount->fstype, "fuse") == 0 || starts_with(mount->fstype, "fuse.");
}

static bool is_cifs(const struct mounts_entry *mount)
{
	static const char *const types[] = { "cifs", "smb3", "smbfs" };

	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (strcmp(mount->fstype, types[i]) == 0)
			return true;
	return false;
}

static bool is_nfs(const struct mounts_entry *mount)
{
	return strcmp(mount->fstype, "nfs") == 0 || strcmp(mount->fstype, "nfs4") == 0;
}

static bool is_sshfs(const struct mounts_entry *mount)
{
	return strcmp(mount->fstype, "fuse.sshfs") == 0;
}

/* File systems that carry a server's or another folder's content; never autofs, which only would.
 */
static bool is_remote(const struct mounts_entry *mount)
{
	return is_fuse(mount) || is_cifs(mount) || is_nfs(mount) ||
	       strcmp(mount->fstype, "davfs") == 0;
}

bool mountmatch_counts(const struct mounts_entry *mount, const struct mountmatch_context *context)
{
	if (mount->is_hidden ||
	    (context->beyond != NULL && mountmatch_counts(mount, context->beyond)))
		return false;
	if (is_fuse(mount))
		return mount->fuse_uid == context->uid ||
		       (mount->fuse_uid == 0 && mount->allows_other);
	if (mount->cruid != MOUNTS_NOBODY && mount->cruid != context->uid)
		return false;
	if (mount->user == NULL || mount->user[0] == '\0' || strcmp(mount->user, "root") == 0)
		return true;
	return context->user != NULL && strcmp(mount->user, context->user) == 0;
}

/* --- sources ---------------------------------------------------------------------------------- */

/* What is left of `path` beneath `front`, "" for the same; NULL if it is not beneath. */
static const char *rest_beneath(const char *front, const char *path)
{
	size_t size = strlen(front);

	if (strcmp(front, "/") == 0)
		return strcmp(path, "/") == 0 ? "" : path;
	if (strncmp(path, front, size) != 0 || (path[size] != '\0' && path[size] != '/'))
		return NULL;
	return path + size;
}

static bool ends_with(const char *text, const char *tail)
{
	size_t a = strlen(text), b = strlen(tail);

	return a >= b && strcmp(text + a - b, tail) == 0;
}

/*
 * cifs names a sub-path both in the source and as the root; a bind mount of a folder of a mount
 * has it in the root alone.
 */
static const char *root_to_add(const struct mounts_entry *entry)
{
	if (strcmp(entry->root, "/") == 0 || ends_with(entry->source, entry->root))
		return "";
	return entry->root;
}

static bool parse_place(struct locator *out, const char *scheme, const char *host, const char *path)
{
	SCOPED(buf) struct buf url = { 0 };
	struct err ignored;

	buf_printf(&url, "%s://%s", scheme, host);
	locator_encode(&url, path);
	return locator_parse(out, buf_text(&url), &ignored);
}

/* //server/share/sub path */
static bool parse_unc(struct locator *out, const char *source, const char *root)
{
	const char *host = source + 2;
	size_t host_size = strcspn(host, "/");
	SCOPED_TEXT char *name = alloc_copy(host, host_size);
	SCOPED_TEXT char *path = alloc_printf("%s%s", host + host_size, root);
	SCOPED_TEXT char *v6 = alloc_printf(strchr(name, ':') != NULL ? "[%s]" : "%s", name);

	return parse_place(out, "smb", v6, path);
}

/* server:/export/path, [2001:db8::1]:/export; sshfs: user@server:/path */
static bool parse_nfs(struct locator *out, const char *source, const char *root)
{
	const char *colon = strstr(source, ":/"), *at = strchr(source, '@');
	SCOPED_TEXT char *host = NULL, *path = NULL;

	if (colon == NULL)
		return false;
	if (at != NULL && at < colon)
		source = at + 1;
	host = alloc_copy(source, (size_t)(colon - source));
	path = alloc_printf("%s%s", colon + 1, strcmp(root, "/") == 0 ? "" : root);
	return parse_place(out, "nfs", host, path);
}

static bool parse_folder(struct locator *out, const char *source, const char *root)
{
	SCOPED_TEXT char *path = alloc_printf("%s%s", source, root);
	struct err ignored;

	return locator_parse_argument(out, path, &ignored);
}

static bool parse_url(struct locator *out, const char *source, const char *root)
{
	SCOPED(locator) struct locator base = { 0 };
	SCOPED_TEXT char *joined = NULL;
	struct err ignored;

	if (root[0] == '\0')
		return locator_parse(out, source, &ignored);
	return locator_parse(&base, source, &ignored) &&
	       locator_join(&joined, &base, root + 1, &ignored) &&
	       locator_parse(out, joined, &ignored);
}

bool mountmatch_source(struct locator *out, const struct mounts_entry *entry)
{
	const char *root = root_to_add(entry);

	*out = (struct locator){ 0 };
	if (!is_remote(entry))
		return false;
	if (starts_with(entry->source, "//"))
		return parse_unc(out, entry->source, root);
	if (strstr(entry->source, "://") != NULL)
		return parse_url(out, entry->source, root);
	if (is_nfs(entry) || is_sshfs(entry))
		return parse_nfs(out, entry->source, root);
	return entry->source[0] == '/' && parse_folder(out, entry->source, root);
}

/* The value of KEY= in "smb-share:server=nas,share=pub". */
static char *gvfs_value(const char *entry, const char *key)
{
	SCOPED_TEXT char *needle = alloc_printf("%s=", key);
	const char *p = strchr(entry, ':');

	while (p != NULL) {
		p++;
		if (starts_with(p, needle)) {
			char *plain = NULL;

			p += strlen(needle);
			return locator_decode(&plain, span_of(p, strcspn(p, ","))) ? plain : NULL;
		}
		p = strchr(p, ',');
	}
	return NULL;
}

/* What each kind of entry calls the parts of its address. */
static const struct gvfs_kind {
	const char *prefix, *scheme, *host, *path;
} gvfs_kinds[] = {
	{ "smb-share:", "smb", "server", "share" },
	{ "dav:", "http", "host", "prefix" },
	{ "nfs:", "nfs", "host", "prefix" },
};

static char *gvfs_url(const char *entry, const struct gvfs_kind *kind)
{
	SCOPED_TEXT char *host = gvfs_value(entry, kind->host);
	SCOPED_TEXT char *path = gvfs_value(entry, kind->path);
	SCOPED_TEXT char *port = gvfs_value(entry, "port");
	SCOPED_TEXT char *ssl = gvfs_value(entry, "ssl");
	bool is_share = strcmp(kind->scheme, "smb") == 0;
	bool is_secure = ssl != NULL && strcmp(ssl, "true") == 0;
	SCOPED(buf) struct buf url = { 0 };

	if (host == NULL || (path == NULL && is_share))
		return NULL;
	if (is_share && port == NULL)
		return alloc_printf("//%s/%s", host, path);
	buf_printf(&url, strchr(host, ':') != NULL ? "%s%s://[%s]" : "%s%s://%s", kind->scheme,
		   is_secure ? "s" : "", host);
	if (port != NULL)
		buf_printf(&url, ":%s", port);
	buf_printf(&url, "%s", path == NULL || path[0] != '/' ? "/" : "");
	locator_encode(&url, path != NULL ? path : "");
	return alloc_text(buf_text(&url));
}

char *mountmatch_gvfs_source(const char *entry)
{
	for (size_t i = 0; i < COUNT_OF(gvfs_kinds); i++)
		if (starts_with(entry, gvfs_kinds[i].prefix))
			return gvfs_url(entry, &gvfs_kinds[i]);
	return NULL;
}

/* Two mounts on the same file system: the one higher up was made later, or the other would lie on
 * it. */
static bool covers_from_above(const struct mounts_entry *above, const struct mounts_entry *below)
{
	return above->parent != 0 && above->parent == below->parent && above->id != below->id &&
	       above->id != below->parent && /* the first of all is its own parent */
	       strcmp(above->target, below->target) != 0 &&
	       rest_beneath(above->target, below->target) != NULL;
}

static bool is_on_hidden(const struct mounts *table, const struct mounts_entry *mount)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct mounts_entry *on = &table->entries[i];

		if (on->id != 0 && on->id == mount->parent)
			return on->is_hidden && strcmp(on->target, mount->target) != 0;
	}
	return false;
}

static bool is_covered(const struct mounts *table, size_t i)
{
	const struct mounts_entry *mount = &table->entries[i];

	for (size_t k = 0; k < table->count; k++) {
		const struct mounts_entry *other = &table->entries[k];

		if ((k > i && strcmp(mount->target, other->target) == 0) ||
		    covers_from_above(other, mount))
			return true;
	}
	return is_on_hidden(table, mount);
}

void mountmatch_hide(struct mounts *table)
{
	for (size_t i = 0; i < table->count; i++)
		table->entries[i].is_hidden = is_covered(table, i);
}

/* --- network addresses ------------------------------------------------------------------------ */

static bool is_short_for(const char *name, const char *whole)
{
	size_t size = strlen(name);

	return strchr(name, '.') == NULL && strchr(name, ':') == NULL &&
	       strncmp(name, whole, size) == 0 && whole[size] == '.';
}

static bool same_ip(const char *a, const char *b)
{
	struct netaddr left, right;

	return a != NULL && netaddr_parse(&left, a) && netaddr_parse(&right, b) &&
	       netaddr_equal(&left, &right);
}

/* A server has many names; the marker's UUID tells later whether it really is the one. */
static bool is_same_machine(const struct mounts_entry *mount, const struct locator *address)
{
	const char *host = mount->where.host;

	return locator_same_host(&mount->where, address) || same_ip(mount->addr, address->host) ||
	       is_short_for(host, address->host) || is_short_for(address->host, host);
}

#define SMB_PORT 445

/* Sources of nfs name no port, and those of smb hardly ever do, so theirs cannot differ. */
static bool is_same_service(const struct locator *source, const struct locator *address)
{
	if (source->scheme != address->scheme)
		return false;
	return source->scheme == LOCATOR_NFS || source->port == address->port ||
	       (source->scheme == LOCATOR_SMB && source->port == SMB_PORT);
}

static char *place_beneath(const struct mounts_entry *mount, const char *rest)
{
	const char *target = strcmp(mount->target, "/") == 0 ? "" : mount->target;

	return alloc_printf("%s%s", target, rest);
}

/* Evidence of a network mount; with WAYKIND_EVIDENCE_PATH the place is stored, for the caller to
 * free. */
static enum waykind_evidence match_network(char **at_out, const struct mounts_entry *mount,
					   const struct locator *address)
{
	struct locator source = mount->where;

	if (!is_same_machine(mount, address))
		return WAYKIND_EVIDENCE_NONE;
	if (!is_same_service(&source, address))
		return WAYKIND_EVIDENCE_SERVER;
	source.host = address->host;
	source.port = address->port;
	if (locator_covers(&source, address)) {
		*at_out = place_beneath(mount, locator_below(&source, address));
		return WAYKIND_EVIDENCE_PATH;
	}
	return locator_same_share(&source, address) ? WAYKIND_EVIDENCE_SHARE
						    : WAYKIND_EVIDENCE_SERVER;
}

/* --- folders ---------------------------------------------------------------------------------- */

/* The mount that a path lies on: the deepest that is not hidden. */
static const struct mounts_entry *mount_of(const struct mounts *table, const char *path)
{
	const struct mounts_entry *best = NULL;

	for (size_t i = 0; i < table->count; i++) {
		const struct mounts_entry *m = &table->entries[i];

		if (m->is_hidden || rest_beneath(m->target, path) == NULL)
			continue;
		if (best == NULL || strlen(m->target) >= strlen(best->target))
			best = m;
	}
	return best;
}

static char *path_in_file_system(const struct mounts_entry *mount, const char *path)
{
	const char *rest = rest_beneath(mount->target, path);
	const char *root = strcmp(mount->root, "/") == 0 ? "" : mount->root;

	return alloc_printf("%s%s", root, rest[0] != '\0' || root[0] != '\0' ? rest : "/");
}

/*
 * One of two mounts of a file system shows only a part of it: that one is a bind mount. File
 * systems that are merely mounted twice as a whole, as containers do, say nothing.
 */
static char *match_bind(const struct mounts_entry *own, const struct mounts_entry *other,
			const char *path)
{
	SCOPED_TEXT char *inside = path_in_file_system(own, path);
	const char *rest = rest_beneath(other->root, inside);

	if (other == own || other->device != own->device || rest == NULL)
		return NULL;
	if (strlen(other->root) > strlen(own->root))
		return place_beneath(other, rest);
	return strlen(other->root) < strlen(own->root) ? alloc_text(path) : NULL;
}

static char *match_folder(const struct mounts_entry *own, const struct mounts_entry *mount,
			  const struct locator *address)
{
	if (mount == own && is_remote(mount))
		return alloc_text(address->path);
	if (is_fuse(mount) && mount->names_place && locator_covers(&mount->where, address))
		return place_beneath(mount, locator_below(&mount->where, address));
	if (own != NULL && !is_remote(own) && strcmp(mount->fstype, "autofs") != 0)
		return match_bind(own, mount, address->path);
	return NULL;
}

/* --- both ------------------------------------------------------------------------------------- */

void mountmatch_list_release(struct mountmatch_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].at);
	free(list->items);
	*list = (struct mountmatch_list){ 0 };
}

static void find_for_address(struct mountmatch_list *out, const struct mounts *table,
			     const struct mountmatch_context *context, const struct locator *where,
			     size_t index)
{
	const struct mounts_entry *own = NULL;

	if (where->scheme == LOCATOR_FILE)
		own = mount_of(table, where->path);
	for (size_t i = 0; i < table->count; i++) {
		const struct mounts_entry *mount = &table->entries[i];
		struct mountmatch match = { .mount = mount, .address = index };

		if (!mountmatch_counts(mount, context))
			continue;
		if (where->scheme == LOCATOR_FILE) {
			match.at = match_folder(own, mount, where);
			match.evidence = match.at != NULL ? WAYKIND_EVIDENCE_PATH
							  : WAYKIND_EVIDENCE_NONE;
		} else if (mount->names_place) {
			match.evidence = match_network(&match.at, mount, where);
		}
		if (match.evidence == WAYKIND_EVIDENCE_NONE)
			continue;
		ALLOC_GROW(out->items, out->count);
		out->items[out->count++] = match;
	}
}

void mountmatch_find(struct mountmatch_list *out, const struct mounts *table,
		     const struct mountmatch_context *context,
		     const struct locator *const *addresses, size_t address_count)
{
	for (size_t i = 0; i < address_count; i++)
		find_for_address(out, table, context, addresses[i], i);
}
