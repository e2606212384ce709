#include "trust/rolename.h"

#include <inttypes.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/path.h"

#define FILE_NAME_MAX 255

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_.-~", c) != NULL);
}

/* `keep` is one more byte that stays as it is; '\0' for none. */
static void put_encoded(struct buf *out, const char *text, char keep)
{
	for (; *text != '\0'; text++) {
		uint8_t c = (uint8_t)*text;

		if (is_unreserved(c) || (keep != '\0' && *text == keep))
			buf_put_u8(out, c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static size_t encoded_size(const char *name)
{
	size_t size = 0;

	for (; *name != '\0'; name++)
		size += is_unreserved((uint8_t)*name) ? 1 : 3;
	return size;
}

bool rolename_is_delegated(const char *name)
{
	static const char *const top[] = { "root", "timestamp", "snapshot", "targets" };

	for (size_t i = 0; i < COUNT_OF(top); i++)
		if (strcmp(name, top[i]) == 0)
			return false;
	return name[0] != '\0' && strlen(name) <= ROLENAME_MAX &&
	       encoded_size(name) <= ROLENAME_MAX;
}

/* A leading dot would hide the file. */
static void put_file_name(struct buf *out, const char *name)
{
	if (name[0] == '.') {
		buf_put_text(out, "%2E");
		name++;
	}
	put_encoded(out, name, '\0');
}

char *rolename_file(const char *name)
{
	SCOPED(buf) struct buf out = { 0 };

	put_file_name(&out, name);
	buf_put_text(&out, ".json");
	return buf_take(&out);
}

char *rolename_url(const char *name, int64_t version)
{
	SCOPED(buf) struct buf out = { 0 };

	if (version > 0)
		buf_printf(&out, "%" PRId64 ".", version);
	put_encoded(&out, name, '\0');
	buf_put_text(&out, ".json");
	return buf_take(&out);
}

char *rolename_target_url(const char *path, const char *hash_hex)
{
	SCOPED(buf) struct buf out = { 0 };
	SCOPED_TEXT char *folder = NULL;
	const char *base = path_base(path);

	if (strlen(path) > ROLENAME_PATH_MAX || !path_is_beneath(span_of_text(path)))
		return NULL;
	folder = alloc_printf("%.*s", (int)(base - path), path);
	put_encoded(&out, folder, '/');
	if (hash_hex != NULL)
		buf_printf(&out, "%s.", hash_hex);
	put_encoded(&out, base, '\0');
	return buf_take(&out);
}

char *rolename_target_file(const char *path)
{
	SCOPED(buf) struct buf out = { 0 };
	char hex[DIGEST_HEX_SIZE];
	struct digest whole;

	put_file_name(&out, path);
	if (out.size <= FILE_NAME_MAX)
		return buf_take(&out);
	digest_of(&whole, span_of_text(path));
	digest_print(hex, &whole);
	return alloc_printf("%.*s-%s", FILE_NAME_MAX - DIGEST_HEX_SIZE, buf_text(&out), hex);
}
