#include "trust/handover.h"

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsondoc.h"
#include "common/text.h"

#define CONTEXT "packway hand-over 1" /* nothing else that a client signs begins like this */

static void print_agreement(struct buf *out, const struct handover *h, const uint8_t *new_key)
{
	char old_hex[2 * KEYS_ED25519_SIZE + 1], new_hex[2 * KEYS_ED25519_SIZE + 1];

	text_hex(old_hex, h->old_key, KEYS_ED25519_SIZE);
	text_hex(new_hex, new_key, KEYS_ED25519_SIZE);
	buf_printf(out, CONTEXT "\n%s\n%s\n%" PRIu64 "\n%s\n%s\n", h->client, h->stream, h->next,
		   old_hex, new_hex);
}

json_t *handover_new_record(const struct handover *h, const struct signer *key)
{
	const uint8_t *new_key = keys_ed25519_bytes(signer_public(key));
	char new_hex[2 * KEYS_ED25519_SIZE + 1], hex[2 * SIGNER_SIGNATURE_SIZE + 1];
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	SCOPED(buf) struct buf agreement = { 0 };
	json_t *record = json_object();

	print_agreement(&agreement, h, new_key);
	signer_sign(signature, key, buf_span(&agreement));
	text_hex(new_hex, new_key, KEYS_ED25519_SIZE);
	text_hex(hex, signature, sizeof(signature));
	jsondoc_set_text(record, "kind", HANDOVER_KIND);
	jsondoc_set_text(record, "public_key", new_hex);
	jsondoc_set_int(record, "next", (int64_t)h->next);
	jsondoc_set_text(record, "signature", hex);
	return record;
}

bool handover_is_record(const json_t *record)
{
	const char *kind = jsondoc_text(record, "kind");

	return kind != NULL && strcmp(kind, HANDOVER_KIND) == 0;
}

bool handover_read(struct key **new_key_out, struct handover *h, const json_t *record)
{
	const char *hex = jsondoc_text(record, "public_key");
	const char *signature = jsondoc_text(record, "signature");
	SCOPED(key) struct key *key = NULL;
	SCOPED(buf) struct buf agreement = { 0 };
	uint8_t new_key[KEYS_ED25519_SIZE];
	struct err err;
	int64_t next;

	if (!handover_is_record(record) || hex == NULL || signature == NULL ||
	    !text_unhex(new_key, sizeof(new_key), hex) ||
	    !jsondoc_need_int(&next, record, "next", 1, JSONDOC_INT_MAX, &err) ||
	    memcmp(new_key, h->old_key, sizeof(new_key)) == 0)
		return false;
	h->next = (uint64_t)next;
	print_agreement(&agreement, h, new_key);
	key = keys_new_ed25519(new_key);
	if (!keys_verify_hex(key, buf_span(&agreement), signature))
		return false;
	*new_key_out = key;
	key = NULL;
	return true;
}
