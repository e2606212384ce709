#include "trust/edition.h"

#include <string.h>

#include "common/clock.h"
#include "common/jsondoc.h"

void edition_release(struct edition *e)
{
	json_decref(e->body);
	*e = (struct edition){ 0 };
}

bool edition_read(struct edition *e, const char *want_type, const json_t *doc, struct span bytes,
		  struct err *err)
{
	const char *type, *expires;
	json_t *body;

	if (!jsondoc_need_object(&body, doc, "signed", err) ||
	    !jsondoc_need_text(&type, body, "_type", err) ||
	    !jsondoc_need_text(&expires, body, "expires", err) ||
	    !jsondoc_need_int(&e->version, body, "version", 1, JSONDOC_INT_MAX, err))
		return false;
	if (strcmp(type, want_type) != 0 || !clock_parse(&e->expires_s, expires))
		return err_set(err, ERR_FORMAT, "type \"%s\" or time \"%s\" is wrong", type,
			       expires);
	e->body = json_incref(body);
	e->length = bytes.size;
	digest_of(&e->sha256, bytes);
	return true;
}

json_t *edition_new_listing(uint64_t length, const struct digest *sha256)
{
	json_t *entry = json_object(), *hashes = json_object();
	char hex[DIGEST_HEX_SIZE];

	digest_print(hex, sha256);
	jsondoc_set_text(hashes, "sha256", hex);
	jsondoc_set(entry, "hashes", hashes);
	jsondoc_set_int(entry, "length", (int64_t)length);
	return entry;
}
