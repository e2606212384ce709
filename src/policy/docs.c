#include "policy/docs.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/text.h"

static const char *const rerun_names[] = {
	[DOCS_RERUN_NEVER] = "never",
	[DOCS_RERUN_ALWAYS] = "always",
	[DOCS_RERUN_ON_FAILURE] = "on-failure",
};

const char *docs_rerun_name(enum docs_rerun rerun)
{
	assert(rerun < COUNT_OF(rerun_names));
	return rerun_names[rerun];
}

bool docs_rerun_parse(enum docs_rerun *out, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(rerun_names); i++) {
		if (strcmp(rerun_names[i], name) == 0) {
			*out = (enum docs_rerun)i;
			return true;
		}
	}
	return false;
}

unsigned int docs_bin(const char *key)
{
	struct digest d;

	digest_of(&d, span_of_text(key));
	return d.bytes[0] % DOCS_BINS;
}

void docs_member_hash(char *hex, const char *salt_hex, const char *client_id)
{
	SCOPED(buf) struct buf bytes = { 0 };
	uint8_t salt[16] = { 0 };
	struct digest d;

	if (text_unhex(salt, sizeof(salt), salt_hex))
		buf_put(&bytes, salt, sizeof(salt));
	buf_put_text(&bytes, client_id);
	digest_of(&d, buf_span(&bytes));
	digest_print(hex, &d);
}

char *docs_path_group(const char *name)
{
	return alloc_printf("group/%s.json", name);
}

char *docs_path_package(const char *id)
{
	return alloc_printf("package/%s.json", id);
}

char *docs_path_manifest(const char *id, int64_t version)
{
	return alloc_printf("manifest/%s/%lld", id, (long long)version);
}

char *docs_path_location(const char *id)
{
	return alloc_printf("location/%s.json", id);
}

char *docs_path_advertisements(unsigned int bin)
{
	return alloc_printf("advertisement/%02x.json", bin);
}

char *docs_path_collections(unsigned int bin)
{
	return alloc_printf("collection/%02x.json", bin);
}
